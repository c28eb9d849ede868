"""Brings the days of the log spool into object storage, where nothing can be appended.

A day is stored at the end of a run, and otherwise every max(`logs.upload_interval_sec`,
size / 50 KiB/s). Ends that follow each other are paid for at that rate as well, so a growing object
never costs more than twice 50 KiB/s a bot (see :mod:`the0.gateway.pace`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from the0.errors import The0Error
from the0.gateway.pace import Pace
from the0.pool import BlockingPool
from the0.settings import LogSettings
from the0.storage.log_spool import BotLog, LogSpool
from the0.storage.logs import LogStore

log = logging.getLogger("the0.gateway.logs")

AT_ONCE = 4
_RETRY_SEC = (5.0, 10.0, 20.0, 40.0, 60.0)
_LOOK_SEC = 3600.0
_LAST_CHANCE = 4


@dataclass
class _Due:
    """That a bot's log is to be stored, from `asked` on in the loop's time, at the given `pace` if
    any; `failures` in a row so far."""

    asked: float
    pace: Pace | None = None
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
        self._lines = Pace(settings.upload_interval_sec)
        self._ends = Pace()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._closing = False

    def note(self, bot_id: str) -> None:
        """There are new lines of the bot."""
        if bot_id not in self._due:
            self._due[bot_id] = _Due(asyncio.get_running_loop().time(), self._lines)
            self._wake.set()

    def finish(self, bot_id: str) -> None:
        """A run of the bot has ended: store its log as soon as the end before is paid for."""
        self.note(bot_id)
        self._due[bot_id].pace = self._ends
        self._wake.set()

    async def run(self) -> None:
        """Store what is due until cancelled, beginning with what an earlier process left."""
        loop = asyncio.get_running_loop()
        look_at = loop.time()
        while True:
            if loop.time() >= look_at:
                look_at = loop.time() + await self._look_through()
            self._start_due(loop.time())
            await self._sleep(look_at)

    async def close(self, grace_sec: float) -> None:
        """Store what is not stored yet, as far as that goes in `grace_sec`."""
        self._closing = True
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace_sec
        while (self._due or self._running) and loop.time() < deadline:
            self._start_due(loop.time())
            await asyncio.wait(self._running.values(), timeout=deadline - loop.time())
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _start_due(self, now: float) -> None:
        for at, bot_id in sorted(self._waiting()):
            if at > now or len(self._running) >= AT_ONCE:
                return
            due = self._due.pop(bot_id)
            task = asyncio.create_task(self._store_bot(bot_id, due), name=f"logs of {bot_id}")
            self._running[bot_id] = task
            task.add_done_callback(self._ended(bot_id))

    def _waiting(self) -> Iterator[tuple[float, str]]:
        """When the log of each bot is stored that is not being stored."""
        for bot_id, due in self._due.items():
            if bot_id not in self._running:
                at = due.pace.due(bot_id, due.asked) if due.pace else due.asked
                yield 0.0 if self._closing else at, bot_id

    def _ended(self, bot_id: str) -> Callable[[asyncio.Task[None]], None]:
        def ended(_: asyncio.Task[None]) -> None:
            del self._running[bot_id]
            self._wake.set()

        return ended

    async def _sleep(self, until: float) -> None:
        loop = asyncio.get_running_loop()
        if len(self._running) < AT_ONCE:
            until = min([until, *(at for at, _ in self._waiting())])
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
                pace = due.pace if due.pace is self._ends else None
                self._due[bot_id] = _Due(loop.time() + delay, pace, due.failures + 1)
            return
        self._lines.stored(bot_id, size, loop.time())
        if due.pace is self._ends:
            self._ends.stored(bot_id, size, loop.time())

    def _store_days(self, bot_id: str) -> int:
        """Store all days of the bot that are not stored whole; the bytes that were sent."""
        bot = self._spool.bot(bot_id)
        return sum(self._store_day(bot, day) for day in bot.unstored_days())

    def _store_day(self, bot: BotLog, day: str) -> int:
        if bot.needs_base(day):
            bot.set_base(day, self._store.pieces(bot.bot_id, day))
        size = bot.size_of(day)
        body, length = bot.open_day(day, size)
        with body:
            self._store.put(bot.bot_id, day, body, length)
        try:
            bot.mark_stored(day, size)
        except OSError as error:  # then it is stored once more, but not before this is paid for
            log.warning("the log of %s is stored, but not noted so: %s", bot.bot_id, error)
        return length

    async def _look_through(self) -> float:
        """Ask for what the store does not have and remove what is old; seconds until the next
        time."""
        now = asyncio.get_running_loop().time()
        self._lines.forget(now)
        self._ends.forget(now)
        try:
            # Without a time-out: so many folders take what they take.
            left = await asyncio.wrap_future(self._disk.submit(self._tidy))
        except (The0Error, OSError) as error:
            log.warning("the spool of logs cannot be looked through: %s", error)
            return _RETRY_SEC[-1]
        for bot_id in left:
            self._due.setdefault(bot_id, _Due(now))
        return _LOOK_SEC

    def _tidy(self) -> list[str]:
        """Remove old logs; the bots with some that the store does not have."""
        return [bot_id for bot_id in self._spool.ids() if self._tidy_bot(bot_id)]

    def _tidy_bot(self, bot_id: str) -> bool:
        now, keep = datetime.now(UTC), timedelta(days=self._settings.spool_days)
        try:
            bot = self._spool.bot(bot_id)
            bot.expire(now - keep, now - _LAST_CHANCE * keep)
            return bool(bot.unstored_days())
        except OSError as error:
            log.warning("the spooled log of %s cannot be looked at: %s", bot_id, error)
            return True
