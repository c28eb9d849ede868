"""The limit of simultaneous starts."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from the0.core.schedule_gate import StartGate

START = datetime(2026, 1, 1, tzinfo=UTC)


async def test_never_more_than_so_many_and_the_earliest_due_first() -> None:
    gate = StartGate(3)
    inside, most, order = 0, 0, []

    async def start(number: int) -> None:
        nonlocal inside, most
        async with gate.turn(START + timedelta(seconds=number)):
            inside += 1
            most = max(most, inside)
            order.append(number)
            await asyncio.sleep(0)
            inside -= 1

    numbers = [(7 * n) % 50 for n in range(50)]
    await asyncio.gather(*(start(number) for number in numbers))
    assert most == 3
    assert sorted(order[:3]) == sorted(numbers[:3])
    assert order[3:] == sorted(order[3:])


async def test_who_gives_up_waiting_takes_no_turn_away() -> None:
    gate = StartGate(1)

    async def wait() -> None:
        async with gate.turn(START):
            await asyncio.sleep(0)

    async with gate.turn(START):
        given_up = asyncio.create_task(wait())
        patient = asyncio.create_task(wait())
        await asyncio.sleep(0)
        given_up.cancel()
    await asyncio.wait_for(patient, 5)
    async with asyncio.timeout(5), gate.turn(START):
        assert given_up.cancelled()


async def test_a_turn_given_to_who_is_cancelled_in_that_moment_goes_on() -> None:
    gate = StartGate(1)

    async def wait() -> None:
        async with gate.turn(START):
            await asyncio.sleep(3600)

    async with gate.turn(START):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(5), gate.turn(START):
        assert waiting.cancelled()
