"""Cancelling in any moment of a call that goes through `asyncio.wait_for`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from the0.cancellation import cancellation_heard
from the0.events import connection
from the0.repository.connection import Connection
from the0.settings import MongoSettings

MOMENTS = range(8)


async def gated(gate: asyncio.Event) -> None:
    await asyncio.wait_for(gate.wait(), 60)


async def ends(task: asyncio.Task[Any], gate: asyncio.Event, moment: int) -> None:
    """Cancel `task` so many turns of the loop after what it waits for came."""
    for _ in MOMENTS:
        await asyncio.sleep(0)
    gate.set()
    for _ in range(moment):
        await asyncio.sleep(0)
    task.cancel()
    _, late = await asyncio.wait({task}, timeout=10)
    task.cancel()
    assert not late
    assert task.cancelled()


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_task_in_a_library_hears_that_it_is_cancelled(moment: int) -> None:
    gate = asyncio.Event()

    async def work() -> None:
        with cancellation_heard():
            await gated(gate)
        await asyncio.Event().wait()

    await ends(asyncio.create_task(work()), gate, moment)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_so_does_one_that_asks_mongodb(moment: int) -> None:
    gate = asyncio.Event()
    mongo = Connection(MongoSettings(uri="mongodb://127.0.0.1:1/"))

    async def work() -> None:
        with mongo.call():
            await gated(gate)
        await asyncio.Event().wait()

    await ends(asyncio.create_task(work()), gate, moment)
    await mongo.close()


@pytest.mark.parametrize("moment", MOMENTS)
async def test_so_does_a_session_with_nats(moment: int) -> None:
    gate = asyncio.Event()

    async def session() -> None:
        await gated(gate)
        await asyncio.Event().wait()

    work = connection._until_lost(session(), asyncio.Event())
    await ends(asyncio.create_task(work), gate, moment)


async def test_a_failure_at_the_same_moment_does_not_hide_it() -> None:
    async def work() -> None:
        with cancellation_heard():
            asyncio.current_task().cancel()  # type: ignore[union-attr]
            raise OSError("the connection is lost")

    task = asyncio.create_task(work())
    await asyncio.wait({task})
    assert task.cancelled()


async def test_calls_of_a_task_that_cleans_up_after_its_cancellation_go_on() -> None:
    cleaned = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            with cancellation_heard():
                await asyncio.sleep(0)
            cleaned.append(True)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert cleaned == [True]
