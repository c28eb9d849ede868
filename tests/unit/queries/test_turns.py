"""Turns, held to their bounds by any order of coming, ending and giving up."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.errors import TooManyRequests
from the0.queries.turns import TurnLimits, Turns

LIMITS = TurnLimits(at_once=3, at_once_per_bot=2, waiting=4, waiting_per_bot=2)


class Caller:
    """One who asks for a turn and has it until told to end."""

    def __init__(self, turns: Turns, bot_id: str) -> None:
        self.bot_id = bot_id
        self.end = asyncio.Event()
        self.state = "waits"
        self.task = asyncio.create_task(self._run(turns))

    async def _run(self, turns: Turns) -> None:
        try:
            async with turns.turn(self.bot_id):
                self.state = "runs"
                await self.end.wait()
        except TooManyRequests:
            self.state = "refused"
            return
        except asyncio.CancelledError:
            self.state = "ended"
            raise
        self.state = "ended"


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def check(turns: Turns, callers: list[Caller]) -> None:
    running = Counter(one.bot_id for one in callers if one.state == "runs")
    waiting = [one.bot_id for one in callers if one.state == "waits"]
    assert (turns.running, turns.waiting) == (running.total(), len(waiting))
    assert running.total() <= LIMITS.at_once
    assert max(running.values(), default=0) <= LIMITS.at_once_per_bot
    assert len(waiting) <= LIMITS.waiting
    assert max(Counter(waiting).values(), default=0) <= LIMITS.waiting_per_bot
    if running.total() < LIMITS.at_once:
        # Nobody waits who could go.
        assert all(running[bot_id] == LIMITS.at_once_per_bot for bot_id in waiting)


STEPS = st.lists(
    st.tuples(st.just("come"), st.sampled_from("abc"))
    | st.tuples(st.sampled_from(["end", "give up", "both"]), st.integers(0, 20)),
    max_size=40,
)


@given(steps=STEPS)
def test_any_order_of_events_keeps_the_bounds(steps: list[tuple[str, str | int]]) -> None:
    asyncio.run(play(steps))


async def play(steps: list[tuple[str, str | int]]) -> None:
    turns, callers = Turns(LIMITS), list[Caller]()
    for what, which in steps:
        if isinstance(which, str):
            callers.append(Caller(turns, which))
        elif there := [one for one in callers if one.state in ("waits", "runs")]:
            one = there[which % len(there)]
            if what != "give up":
                one.end.set()
            if what != "end":
                # With "both" a turn ends while somebody who is next gives up.
                there[(which + 1) % len(there)].task.cancel()
        await settle()
        check(turns, callers)
    for one in callers:
        one.task.cancel()
    await asyncio.gather(*(one.task for one in callers), return_exceptions=True)
    assert (turns.running, turns.waiting) == (0, 0)


async def test_turns_come_in_the_order_of_asking() -> None:
    turns = Turns(TurnLimits(at_once=1, at_once_per_bot=1, waiting=3, waiting_per_bot=3))
    callers = [Caller(turns, bot_id) for bot_id in "abca"]
    await settle()
    for index, one in enumerate(callers):
        assert [c.state for c in callers] == ["ended"] * index + ["runs"] + ["waits"] * (3 - index)
        one.end.set()
        await settle()


async def test_who_waits_for_a_busy_bot_holds_up_nobody_else() -> None:
    turns = Turns(LIMITS)
    busy = [Caller(turns, "a") for _ in range(3)]
    await settle()
    other = Caller(turns, "b")
    await settle()
    assert [one.state for one in [*busy, other]] == ["runs", "runs", "waits", "runs"]
    for one in [*busy, other]:
        one.end.set()
    await asyncio.gather(*(one.task for one in [*busy, other]))


async def test_one_too_many_is_told_when_to_come_again() -> None:
    turns = Turns(TurnLimits(at_once=1, at_once_per_bot=1, waiting=0, waiting_per_bot=0))
    async with turns.turn("a"):
        with pytest.raises(TooManyRequests) as refused:
            async with turns.turn("b"):
                raise AssertionError("it had a turn")
    assert refused.value.retry_after == 1.0
    async with turns.turn("b"):
        assert turns.running == 1
