from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from the0.errors import NotFound, Unavailable
from the0.pool import BlockingPool


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


async def test_results_and_errors_come_through() -> None:
    pool = BlockingPool("storage", 2, 5)

    def fail() -> None:
        raise NotFound("gone")

    assert await pool.call(lambda first, *, second: first + second, 1, second=2) == 3
    with pytest.raises(NotFound, match="gone"):
        await pool.call(fail)
    pool.close()


async def test_a_hung_call_costs_its_caller_only_the_time_out(release: threading.Event) -> None:
    pool = BlockingPool("storage", 1, 0.05)
    with pytest.raises(Unavailable, match=r"storage did not answer within 0.05 s"):
        await pool.call(release.wait)
    pool.close()


async def test_a_call_that_timed_out_in_the_queue_never_runs(release: threading.Event) -> None:
    pool = BlockingPool("storage", 1, 5)
    ran: list[int] = []
    hung = pool.submit(release.wait)
    with pytest.raises(Unavailable):
        await pool.call_within(0.05, ran.append, 1)
    release.set()
    await pool.wait(hung, 5)
    await pool.call(ran.append, 2)
    assert ran == [2]
    pool.close()


async def test_the_queue_has_a_bound(release: threading.Event) -> None:
    pool = BlockingPool("storage", 1, 5, waiting=2)
    started = threading.Event()
    pool.submit(lambda: (started.set(), release.wait()))
    await asyncio.to_thread(started.wait)
    pool.submit(release.wait)
    pool.submit(release.wait)
    with pytest.raises(Unavailable, match="2 calls wait already"):
        pool.submit(release.wait)
    pool.close()


async def test_calls_run_beside_each_other() -> None:
    pool = BlockingPool("storage", 2, 5)
    barrier = threading.Barrier(2, timeout=5)
    await asyncio.gather(pool.call(barrier.wait), pool.call(barrier.wait))
    pool.close()


async def test_a_closed_pool_takes_nothing_and_drops_what_waits(release: threading.Event) -> None:
    pool = BlockingPool("storage", 1, 5)
    started = threading.Event()
    pool.submit(lambda: (started.set(), release.wait()))
    await asyncio.to_thread(started.wait)
    waiting = pool.submit(release.wait)
    pool.close()
    assert waiting.cancelled()
    with pytest.raises(Unavailable, match="shut down"):
        await pool.call(release.wait)
