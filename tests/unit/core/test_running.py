"""Lanes, tasks, leadership and dependencies."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from the0.core.dependencies import Dependencies
from the0.core.lanes import Lanes
from the0.core.leader import Leadership
from the0.core.tasks import Breath, Tasks
from the0.errors import The0Error, Unavailable


async def test_a_lane_is_serial_and_a_wake_during_work_leads_to_one_more() -> None:
    runs: list[str] = []
    working: set[str] = set()
    gate = asyncio.Event()

    async def work(bot_id: str) -> None:
        assert bot_id not in working, "twice at once"
        working.add(bot_id)
        runs.append(bot_id)
        await gate.wait()
        working.discard(bot_id)

    lanes = Lanes(work)
    lanes.wake("a")
    lanes.wake("b")
    await asyncio.sleep(0)
    for _ in range(5):
        lanes.wake("a")
    assert sorted(runs) == ["a", "b"]
    gate.set()
    await lanes.idle()
    assert sorted(runs) == ["a", "a", "b"]
    assert not lanes.busy
    await lanes.close(1)


async def test_a_lane_asks_again_when_its_work_says_so() -> None:
    runs = 0
    done = asyncio.Event()

    async def work(_: str) -> float | None:
        nonlocal runs
        runs += 1
        if runs == 3:
            done.set()
            return None
        return 0.01

    lanes = Lanes(work)
    lanes.wake("a")
    await done.wait()
    await lanes.close(1)


async def test_an_error_in_one_lane_is_told_and_costs_only_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work(bot_id: str) -> None:
        if bot_id == "bad":
            raise ValueError("oops")

    lanes = Lanes(work)
    lanes.wake("bad")
    lanes.wake("good")
    await lanes.idle()
    assert "bad" in caplog.text
    await lanes.close(1)
    lanes.wake("good")
    assert not lanes.busy


async def test_closing_gives_up_what_takes_too_long() -> None:
    async def work(_: str) -> None:
        await asyncio.Event().wait()

    lanes = Lanes(work)
    lanes.wake("a")
    await asyncio.sleep(0)
    await lanes.close(0.01)
    assert not lanes.busy


async def test_a_task_that_ends_unasked_is_a_failure_with_its_name() -> None:
    tasks = Tasks()

    async def ends() -> None:
        return

    tasks.start("worker", ends())
    tasks.start("sleeper", asyncio.Event().wait())  # type: ignore[arg-type]
    error = await tasks.failure()
    assert "worker" in error.message
    await tasks.stop()


async def test_a_task_that_fails_hands_on_its_own_error() -> None:
    tasks = Tasks()

    async def fails() -> None:
        raise Unavailable("gone")

    tasks.start("worker", fails())
    assert isinstance(await tasks.failure(), Unavailable)
    await tasks.stop()


async def test_the_lock_goes_from_a_killed_process_to_who_waits(tmp_path: Path) -> None:
    path = tmp_path / "runner.lock"
    code = (
        "import sys, time; from pathlib import Path; from the0.core.leader import Leadership\n"
        "lock = Leadership(Path(sys.argv[1])); print(lock.try_acquire(), flush=True)\n"
        "time.sleep(600)"
    )
    pipe = asyncio.subprocess.PIPE
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", code, path, stdout=pipe)
    assert other.stdout
    assert await other.stdout.readline() == b"True\n"
    lock = Leadership(path)
    assert not lock.try_acquire()
    waiting = asyncio.create_task(lock.acquire())
    other.kill()
    await waiting
    assert lock.held
    assert int(path.read_text()) == os.getpid()
    lock.release()
    await other.communicate()


def test_a_lock_that_cannot_be_opened_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(The0Error, match="cannot open the lock"):
        Leadership(tmp_path / "missing" / "runner.lock").try_acquire()


async def test_dependencies_are_told_by_name_when_they_change() -> None:
    away = asyncio.Event()
    changed = asyncio.Event()

    async def flaky() -> None:
        if away.is_set():
            raise Unavailable("it is away")

    async def hung() -> None:
        await asyncio.Event().wait()

    found = Dependencies({"flaky": flaky, "hung": hung}, changed.set)
    assert found.fault("flaky") == "not asked yet"
    assert found.fault("unknown") == ""
    running = asyncio.create_task(found.run())
    await changed.wait()
    assert found.fault("flaky") == ""
    assert found.all()["hung"].fault == "not asked yet"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_long_work_lets_others_run_by_the_time_that_it_took() -> None:
    others: list[str] = []
    asyncio.get_running_loop().call_soon(others.append, "ran")
    await Breath(stretch_sec=3600).take()
    assert others == []
    await Breath(stretch_sec=0).take()
    assert others == ["ran"]
