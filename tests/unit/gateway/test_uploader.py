"""The uploader with a real spool and a real store, on disks and with puts that fail or hang."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import until
from the0.builtin.storage_local import LocalSettings, LocalStorage
from the0.gateway import uploader as module
from the0.gateway.uploader import LogUploader
from the0.plugin.interfaces import PluginArgs
from the0.pool import BlockingPool
from the0.settings import LogSettings
from the0.storage.log_lines import LogBatch, LogRecord
from the0.storage.log_spool import BotLog, LogSpool
from the0.storage.logs import LogStore

DAY_MAX = 64 << 20


class Store(LogStore):
    """Waits with each put for `open`, and counts them."""

    def __init__(self, folder: Path) -> None:
        storage = LocalStorage(PluginArgs("t", "", folder, {LocalSettings: LocalSettings("")}))
        storage.ensure_bucket("logs")
        super().__init__(storage, "logs")
        self.open = threading.Event()
        self.open.set()
        self.begun: list[str] = []

    def put(self, bot_id: str, *rest: Any) -> None:
        self.begun.append(bot_id)
        assert self.open.wait(60)
        super().put(bot_id, *rest)

    def lines(self, bot_id: str) -> list[str]:
        text = b"".join(b"".join(self.pieces(bot_id, day)) for day in self.days(bot_id))
        return [json.loads(line)["message"] for line in text.splitlines()]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def spool(tmp_path: Path) -> LogSpool:
    return LogSpool(tmp_path / "spool", DAY_MAX)


def append(spool: LogSpool, bot_id: str, number: int, text: bytes) -> None:
    batch = LogBatch("a" * 32, [LogRecord(number, time.time_ns(), text, partial=False)])
    spool.bot(bot_id).append(batch, datetime.now(UTC))


@asynccontextmanager
async def running(spool: LogSpool, store: LogStore) -> AsyncIterator[LogUploader]:
    pools = [BlockingPool(name, 2, 60) for name in ("storage", "disk")]
    uploader = LogUploader(spool, store, LogSettings(), storage=pools[0], disk=pools[1])
    task = asyncio.create_task(uploader.run())
    try:
        yield uploader
        assert not task.done(), "nothing ends it but its owner"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await uploader.close(60)
        for pool in pools:
            pool.close()


async def test_a_disk_that_fails_at_the_start_holds_back_only_its_own_bot(
    spool: LogSpool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bot_id in ("bad", "good"):
        append(spool, bot_id, 0, bot_id.encode())
    monkeypatch.setattr(module, "_RETRY_SEC", (0.05,))
    days, broken = LogSpool(spool.directory, DAY_MAX), True

    def bot(bot_id: str) -> Any:
        if broken and bot_id == "bad":
            raise OSError(28, "No space left on device")
        return LogSpool.bot(days, bot_id)

    monkeypatch.setattr(days, "bot", bot)
    async with running(days, store):
        await until(lambda: store.lines("good") == ["good"])
        assert store.lines("bad") == []
        broken = False
        await until(lambda: store.lines("bad") == ["bad"])


async def test_a_spool_that_cannot_be_listed_is_looked_through_later(
    spool: LogSpool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(spool, "bot", 0, b"left")
    monkeypatch.setattr(module, "_RETRY_SEC", (0.05,))
    failures = iter([OSError(5, "Input/output error")])

    def ids() -> Sequence[str]:
        for failure in failures:
            raise failure
        return ["bot"]

    monkeypatch.setattr(spool, "ids", ids)
    async with running(spool, store):
        await until(lambda: store.lines("bot") == ["left"])


async def test_a_first_end_is_stored_at_once_and_others_of_a_large_day_once_that_is_paid_for(
    spool: LogSpool, store: Store
) -> None:
    append(spool, "bot", 0, b"x" * (8 << 20))
    store.open.clear()
    async with running(spool, store) as uploader:
        await until(lambda: store.begun)
        for number in range(1, 10):
            append(spool, "bot", number, b"a line")
            uploader.note("bot")
            uploader.finish("bot")
        store.open.set()
        await until(lambda: len(store.lines("bot")) == 10)
        append(spool, "bot", 10, b"a line")
        uploader.finish("bot")
        await asyncio.sleep(0.2)
        assert store.begun == ["bot", "bot"]
    assert len(store.lines("bot")) == 11, "the end of the gateway waits for nothing"


async def test_a_put_that_cannot_be_noted_is_paid_for_too(
    spool: LogSpool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(BotLog, "mark_stored", no_room)
    monkeypatch.setattr(module, "_RETRY_SEC", (0.05,))
    append(spool, "bot", 0, b"x" * (8 << 20))
    async with running(spool, store):
        await until(lambda: store.lines("bot"))
        await asyncio.sleep(0.3)
        assert store.begun == ["bot"]


async def test_a_small_day_is_stored_at_each_end(spool: LogSpool, store: Store) -> None:
    async with running(spool, store) as uploader:
        for number in range(5):
            append(spool, "bot", number, b"a line")
            uploader.finish("bot")
            await until(lambda number=number: len(store.lines("bot")) == number + 1)


async def test_lines_of_one_run_are_gathered(spool: LogSpool, store: Store) -> None:
    async with running(spool, store) as uploader:
        append(spool, "bot", 0, b"a line")
        uploader.note("bot")
        await asyncio.sleep(0.2)
        assert store.begun == []
        uploader.finish("bot")
        await until(lambda: store.lines("bot"))
