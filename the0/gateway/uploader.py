"""Brings the days of the log spool into object storage, where nothing can be appended.

A day is stored at the end of a run and otherwise every max(`logs.upload_interval_sec`,
size / 50 KiB/s), so a growing object never costs more than 50 KiB/s a bot.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from the0.errors import The0Error
from the0.pool import BlockingPool
from the0.settings import LogSettings
from the0.storage.log_spool import BotLog, LogSpool
from the0.storage.logs import LogStore

log = logging.getLogger("the0.gateway.logs")

BYTES_PER_SEC = 50 * 1024
AT_ONCE = 4
_RETRY_SEC = (5.0, 10.0, 20.0, 40.0, 60.0)
_EXPIRE_SEC = 3600.0
_LAST_CHANCE = 4


@dataclass
class _Due:
    """When a bot's log is stored next, in the loop's time; `failures` in a row so far."""

    at: float
    failures: int = 0


class LogUploader:
    """Decides when which bot's log is stored, and stores it in the pool `storage`; work that
    only concerns the spool is done in the pool `disk`."""

    def __init__(
        self,
        spool: LogSpool,
        store: LogStore,
        settings: LogSettings,
        *,
        storage: BlockingPool,
        disk: BlockingPool,
    ) -> None:
        self._spool = spool
        self._store = store
        self._storage = storage
        self._disk = disk
        self._settings = settings
        self._due: dict[str, _Due] = {}
        self._pause: dict[str, float] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._closing = False

    def note(self, bot_id: str) -> None:
        """There are new lines of the bot."""
        if bot_id not in self._due:
            now = asyncio.get_running_loop().time()
            not_before = self._pause.get(bot_id, now + self._settings.upload_interval_sec)
            self._due[bot_id] = _Due(max(now, not_before))
            self._wake.set()

    def finish(self, bot_id: str) -> None:
        """A run of the bot has ended: store its log now."""
        self._due[bot_id] = _Due(asyncio.get_running_loop().time())
        self._wake.set()

    async def run(self) -> None:
        """Store what is due until cancelled, beginning with what an earlier process left."""
        loop = asyncio.get_running_loop()
        expire_at = loop.time()
        for bot_id in await self._disk.call(self._left_over):
            self.finish(bot_id)
        while True:
            if loop.time() >= expire_at:
                expire_at = loop.time() + _EXPIRE_SEC
                await self._expire()
            self._start_due(loop.time())
            await self._sleep(expire_at)

    async def close(self, grace_sec: float) -> None:
        """Store what is not stored yet, as far as that goes in `grace_sec`."""
        self._closing = True
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace_sec
        while (self._due or self._running) and loop.time() < deadline:
            for due in self._due.values():
                due.at = loop.time()
            self._start_due(loop.time())
            await asyncio.wait(self._running.values(), timeout=deadline - loop.time())
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _start_due(self, now: float) -> None:
        for bot_id, due in sorted(self._due.items(), key=lambda one: one[1].at):
            if due.at > now or len(self._running) >= AT_ONCE:
                return
            if bot_id not in self._running:
                del self._due[bot_id]
                task = asyncio.create_task(self._store_bot(bot_id, due), name=f"logs of {bot_id}")
                self._running[bot_id] = task
                task.add_done_callback(self._ended(bot_id))

    def _ended(self, bot_id: str) -> Callable[[asyncio.Task[None]], None]:
        def ended(_: asyncio.Task[None]) -> None:
            del self._running[bot_id]
            self._wake.set()

        return ended

    async def _sleep(self, until: float) -> None:
        loop = asyncio.get_running_loop()
        waiting = [due.at for bot_id, due in self._due.items() if bot_id not in self._running]
        full = len(self._running) >= AT_ONCE
        until = until if full else min([until, *waiting])
        try:
            async with asyncio.timeout(max(0.0, until - loop.time())):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def _store_bot(self, bot_id: str, due: _Due) -> None:
        loop = asyncio.get_running_loop()
        try:
            # Not given up on a time-out: a second put beside a slow first one could end before it.
            size = await asyncio.wrap_future(self._storage.submit(self._store_days, bot_id))
        except (The0Error, OSError) as error:
            log.warning("the log of %s is not stored yet: %s", bot_id, error)
            if not self._closing:
                delay = _RETRY_SEC[min(due.failures, len(_RETRY_SEC) - 1)]
                self._due[bot_id] = _Due(loop.time() + delay, due.failures + 1)
            return
        pause = max(self._settings.upload_interval_sec, size / BYTES_PER_SEC)
        self._pause[bot_id] = loop.time() + pause

    def _store_days(self, bot_id: str) -> int:
        """Store all days of the bot that are not stored whole; the bytes that were sent."""
        bot = self._spool.bot(bot_id)
        days = [day for day in bot.days() if not bot.is_stored(day)]
        return sum(self._store_day(bot, day) for day in days)

    def _store_day(self, bot: BotLog, day: str) -> int:
        if bot.needs_base(day):
            bot.set_base(day, self._store.pieces(bot.bot_id, day))
        size = bot.size_of(day)
        body, length = bot.open_day(day, size)
        with body:
            self._store.put(bot.bot_id, day, body, length)
        bot.mark_stored(day, size)
        return length

    def _left_over(self) -> list[str]:
        return [
            bot.bot_id
            for bot in self._spool.bots()
            if any(not bot.is_stored(day) for day in bot.days())
        ]

    async def _expire(self) -> None:
        now, keep = datetime.now(UTC), timedelta(days=self._settings.spool_days)
        try:
            await self._disk.call(self._spool.expire, now - keep, now - _LAST_CHANCE * keep)
        except (The0Error, OSError) as error:
            log.warning("old logs could not be removed from the spool: %s", error)
