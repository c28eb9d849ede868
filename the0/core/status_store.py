"""What is remembered of each bot, kept in MongoDB with one write behind.

A change is taken in at once and written within a moment; while MongoDB is away only the newest
record of each bot waits, so nothing grows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Any, Protocol
from weakref import WeakValueDictionary

from the0.core.tracked import Tracked
from the0.core.views import tracked, tracked_json
from the0.errors import The0Error

WRITE_DELAY_SEC = 0.5
RETRY_SEC = 5.0
WRITES_AT_ONCE = 8

log = logging.getLogger(__name__)


class Statuses(Protocol):
    """The part of the repository that keeps one record per bot."""

    async def statuses(self, installation: str) -> Mapping[str, Mapping[str, Any]]: ...

    async def save_status(
        self, installation: str, bot_id: str, status: Mapping[str, Any]
    ) -> None: ...

    async def delete_status(self, installation: str, bot_id: str) -> None: ...


class StatusStore:
    """Bot id -> :class:`Tracked`, in memory and in MongoDB."""

    def __init__(self, repository: Statuses, installation: str) -> None:
        self._repository = repository
        self._installation = installation
        self._tracked: dict[str, Tracked] = {}
        self._dirty: dict[str, None] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._changed = asyncio.Event()

    async def load(self) -> None:
        """Read all records once, before anything is decided. Raises Unavailable."""
        found = await self._repository.statuses(self._installation)
        self._tracked = {bot_id: _read(bot_id, status) for bot_id, status in found.items()}

    def ids(self) -> Collection[str]:
        return self._tracked.keys()

    def get(self, bot_id: str) -> Tracked:
        return self._tracked.get(bot_id, _NOTHING)

    def put(self, bot_id: str, value: Tracked) -> None:
        if self.get(bot_id) != value:
            self._tracked[bot_id] = value
            self._mark(bot_id)

    def remove(self, bot_id: str) -> None:
        """Forget a bot, in MongoDB too."""
        if self._tracked.pop(bot_id, None) is not None:
            self._mark(bot_id)

    def _mark(self, bot_id: str) -> None:
        self._dirty[bot_id] = None
        self._changed.set()

    async def flush(self, bot_id: str) -> None:
        """Have one bot's record as it is now in MongoDB. Raises Unavailable; it is then written
        later."""
        # One write of a bot at a time: of two under way the older could be the one that stays.
        async with self._locks.setdefault(bot_id, asyncio.Lock()):
            if bot_id in self._dirty:
                await self._write(bot_id)

    async def flush_all(self) -> None:
        """Write whatever waits, as far as MongoDB answers."""
        waiting = list(self._dirty)
        for start in range(0, len(waiting), WRITES_AT_ONCE):
            batch = waiting[start : start + WRITES_AT_ONCE]
            await asyncio.gather(*map(self.flush, batch))

    async def run(self) -> None:
        """Write behind, for ever."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(WRITE_DELAY_SEC)
            self._changed.clear()
            try:
                await self.flush_all()
            except The0Error as error:
                log.warning("statuses of %d bots wait for MongoDB: %s", len(self._dirty), error)
                self._changed.set()
                await asyncio.sleep(RETRY_SEC)

    async def _write(self, bot_id: str) -> None:
        self._dirty.pop(bot_id, None)
        value = self._tracked.get(bot_id)
        try:
            if value is None:
                await self._repository.delete_status(self._installation, bot_id)
            else:
                status = {"tracked": tracked_json(value)}
                await self._repository.save_status(self._installation, bot_id, status)
        except BaseException:
            self._mark(bot_id)
            raise


_NOTHING = Tracked()


def _read(bot_id: str, status: Mapping[str, Any]) -> Tracked:
    try:
        return tracked(status["tracked"]) if "tracked" in status else Tracked()
    except (KeyError, TypeError, ValueError, AttributeError):
        log.exception("the record of bot %r cannot be read; it starts anew", bot_id)
        return Tracked()
