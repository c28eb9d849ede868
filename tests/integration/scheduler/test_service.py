"""The service itself, with a real MongoDB and an engine in memory: many at once, clocks that are
set."""

from __future__ import annotations

import asyncio
import gc
import statistics
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pymongo
import pytest

from tests.support.engines import MemoryExecutor
from tests.support.soak import scaled
from the0.config import bootstrap
from the0.core.schedule_service import ScheduleService
from the0.core.site import Site
from the0.launches import LaunchStore
from the0.plugin.interfaces import PluginArgs
from the0.repository import Repository
from the0.testing.servers import S3Server, Server

pytestmark = pytest.mark.filterwarnings(
    # A connect of pymongo's that is cancelled at the end leaves its socket to the collector.
    "ignore::pytest.PytestUnraisableExceptionWarning"
)

POLL_SEC = 0.5
MANY = scaled(300, 1000)
STARTS_AT_ONCE = 8


class SetClock:
    """The machine's clock, and what somebody set it ahead or back by."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset


class World:
    """A scheduler that can be asked what it did."""

    def __init__(self, root: Path, mongo: Server, s3: S3Server) -> None:
        environ = {
            "THE0_STATE_DIR": str(root),
            "MONGO_URI": mongo.url,
            "MINIO_ENDPOINT": s3.endpoint,
            "MINIO_ACCESS_KEY": s3.access_key,
            "MINIO_SECRET_KEY": s3.secret_key,
            "RUNTIME_IMAGE": "memory",
            "THE0_SCHEDULER__STARTS_AT_ONCE": str(STARTS_AT_ONCE),
        }
        self.settings, self.plugins = bootstrap((), environ)
        self.settings.state_dir.make()
        self.args = PluginArgs("memory", "memory", root, self.settings.sections)
        self.executor = MemoryExecutor(self.args)
        self.clock = SetClock()
        self.client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(mongo.url)
        self.runs = self.client["the0"]["runs"]
        self.bots = self.client["bot_scheduler"]["bot_schedules"]
        for collection in (self.runs, self.bots):
            collection.delete_many({})

    def put(self, bot_ids: Sequence[str], schedule: str, **config: Any) -> None:
        about = {"runtime": "python3.11", "entrypoints": {"bot": "main.py"}}
        custom = {"version": "1.0.0", "filePath": "a/b/1.0.0", "config": about}
        documents = [
            {"id": bot_id, "config": {"schedule": schedule, **config}, "custom": custom}
            for bot_id in bot_ids
        ]
        self.bots.insert_many(documents)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ScheduleService]:
        settings, plugins = self.settings, self.plugins
        repository = Repository(settings.mongo)
        storage = plugins.storages.get("minio")(self.args)
        launches = LaunchStore(settings.state_dir.launches)
        site = Site(
            settings, self.args, repository, self.executor, storage, plugins.runtimes, launches
        )
        cron = plugins.schedulers.get("cron")(self.args)
        service = ScheduleService(site, cron, lambda *_: None, lambda: True, self.clock)
        stop = asyncio.Event()
        await repository.make_run_indexes()
        running = asyncio.create_task(service.run(stop))
        try:
            await until(lambda: service.status()["read"], "everything is read")
            await until(lambda: not any(one.fault for one in service.standings.values()), "ready")
            yield service
        finally:
            stop.set()
            await running
            await repository.close()
            storage.close()


async def until(seen: Callable[[], object], what: str, within: float = 90.0) -> None:
    try:
        async with asyncio.timeout(within):
            while not seen():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(POLL_SEC)
    except TimeoutError:
        pytest.fail(f"it did not happen within {within:g} s: {what}")


@pytest.fixture
def world(tmp_path: Path, mongod: Server, object_store: S3Server) -> Iterator[World]:
    made = World(tmp_path / "s", mongod, object_store)
    yield made
    made.client.close()
    gc.collect()


async def test_many_schedules_due_in_one_second(world: World) -> None:
    due = (datetime.now(UTC) + timedelta(seconds=15)).replace(microsecond=0)
    schedule = f"{due.second} {due.minute} {due.hour} {due.day} {due.month} *"
    ids = [f"bot-{number}" for number in range(MANY)]
    world.put(ids, schedule, start_deadline_sec=600, jitter_sec=1)
    async with world.running() as service:
        assert len(service.status()["bots"]) == MANY
        counted = {"outcome": "succeeded"}
        await until(lambda: world.runs.count_documents(counted) == MANY, "all have run", 240)
    starts = world.executor.tally.starts
    records = {run["bot_id"]: run for run in world.runs.find()}
    assert len(starts) == len(records) == MANY
    assert {run["slot"].replace(tzinfo=UTC) for run in records.values()} == {due}
    assert max(one.at_once for one in starts) <= STARTS_AT_ONCE
    order = [records[one.bot_id]["due"] for one in starts]
    # Each of the starts in flight may be overtaken by some others, and no more than that.
    window = 5 * STARTS_AT_ONCE
    assert all(early <= late for early, late in zip(order, order[window:], strict=False))
    lags = [
        one.created - records[one.bot_id]["due"].replace(tzinfo=UTC).timestamp() for one in starts
    ]
    print(
        f"{MANY} due in one second: first {min(lags):.3f} s late, median "
        f"{statistics.median(lags):.1f} s, last {max(lags):.1f} s"
    )


async def test_a_clock_set_an_hour_ahead_and_back(world: World) -> None:
    # Six in an hour, none of them in the minutes of this test.
    first = (datetime.now(UTC).minute + 5) % 10
    world.put(["a"], f"0 {first}-59/10 * * * *", catch_up="skip", start_deadline_sec=5)
    async with world.running() as service:
        world.clock.offset = timedelta(hours=1)
        await until(lambda: world.runs.count_documents({}) >= 6, "six slots were passed over", 30)
        world.clock.offset = timedelta()
        await service.wake("a")
        await asyncio.sleep(3)
        records = list(world.runs.find())
    assert {run["outcome"] for run in records} == {"missed"}
    assert len({run["slot"] for run in records}) == len(records) in (6, 7)
    assert world.executor.tally.starts == []


async def test_what_a_scheduler_had_in_its_queue_is_run_by_the_next(world: World) -> None:
    due = (datetime.now(UTC) + timedelta(seconds=5)).replace(microsecond=0)
    schedule = f"{due.second} {due.minute} {due.hour} {due.day} {due.month} *"
    world.put([f"bot-{number}" for number in range(5 * STARTS_AT_ONCE)], schedule)
    world.executor.start_sec = 2.0
    async with world.running():
        await until(lambda: world.executor.tally.starts, "the first ones are started")
    assert len(world.executor.tally.starts) < 5 * STARTS_AT_ONCE
    async with world.running():
        await until(lambda: world.runs.count_documents({"active": True}) == 0, "all have ended")
    assert [run["outcome"] for run in world.runs.find()] == ["succeeded"] * 5 * STARTS_AT_ONCE
    assert len({one.run for one in world.executor.tally.starts}) == 5 * STARTS_AT_ONCE
    assert len(world.executor.tally.starts) == 5 * STARTS_AT_ONCE


async def test_after_a_clock_was_set_back_no_slot_comes_again(world: World) -> None:
    world.put(["a"], "@every 2s")
    async with world.running():
        await until(lambda: world.runs.count_documents({}) >= 2, "two slots were run")
        world.clock.offset = timedelta(hours=-1)
        await asyncio.sleep(5)
        seen = world.runs.count_documents({})
        await asyncio.sleep(3)
        assert world.runs.count_documents({}) == seen
        world.clock.offset = timedelta()
        await until(lambda: world.runs.count_documents({}) > seen, "it goes on", 30)
    slots = [run["slot"] for run in world.runs.find()]
    assert len(slots) == len(set(slots))
    runs = [one.run for one in world.executor.tally.starts]
    assert len(runs) == len(set(runs))
