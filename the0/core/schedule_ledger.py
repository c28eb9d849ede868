"""What is written to MongoDB behind the schedulers' backs: plans, and slots that were missed.

Plans (`next_execution_time`) say from where on slots are to be looked at again; of each bot only
the newest waits. A plan never passes a slot that has no record yet, so that a scheduler that dies
leaves none without one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from the0.errors import The0Error
from the0.models import Run
from the0.repository import Repository

MISSED_AFTER_SEC = 5.0
"""From the moment on in which nobody should have a slot in its queue any more that this scheduler
saw too late."""

WRITE_DELAY_SEC = 0.2
RETRY_SEC = 2.0
AT_ONCE = 8
BATCH = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Missed:
    not_before: float
    run: Run


class Ledger:
    """Writes behind, in one task of its own."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._open: defaultdict[str, set[datetime]] = defaultdict(set)
        self._next: dict[str, datetime | None] = {}
        self._dirty: dict[str, bool] = {}
        self._missed: list[_Missed] = []
        self._changed = asyncio.Event()

    # --- slots under way ---

    def open(self, bot_id: str, slot: datetime) -> None:
        """Nobody has this slot yet: the bot's plan stays at it."""
        self._open[bot_id].add(slot)

    def settle(self, bot_id: str, slot: datetime) -> None:
        """Somebody has it, or it has its record."""
        if slot not in self._open.get(bot_id, ()):
            return
        self._open[bot_id].discard(slot)
        if not self._open[bot_id]:
            del self._open[bot_id]
        self._mark(bot_id, forward=True)

    def plan(self, bot_id: str, at: datetime | None, *, forward: bool) -> None:
        """The bot's next slot; None takes its plan away. `forward` never moves it back, and waits
        for the slots that nobody has yet."""
        self._next[bot_id] = at
        if not forward or bot_id not in self._open:
            self._mark(bot_id, forward=forward)

    def missed(self, bot_id: str, runs: Sequence[Run], now: datetime) -> None:
        """Record these a moment after the time of their end, unless somebody has claimed them by
        then."""
        for run in runs:
            self.open(bot_id, run.slot)
            left = max(0.0, (run.ended - now).total_seconds()) if run.ended else 0.0
            self._missed.append(_Missed(time.monotonic() + left + MISSED_AFTER_SEC, run))
        self._changed.set()

    def _mark(self, bot_id: str, *, forward: bool) -> None:
        self._dirty[bot_id] = self._dirty.get(bot_id, True) and forward
        self._changed.set()

    # --- writing ---

    async def run(self) -> None:
        """Write behind, for ever."""
        while True:
            await self._wait()
            try:
                await self._record_missed()
                await self.flush()
            except The0Error as error:
                log.warning("plans of %d bots wait for MongoDB: %s", len(self._dirty), error)
                await asyncio.sleep(RETRY_SEC)

    async def flush(self) -> None:
        """Write the plans that wait. Raises Unavailable; what was not written still waits."""
        while self._dirty:
            batch = list(self._dirty)[:AT_ONCE]
            await asyncio.gather(*(self._write(bot_id) for bot_id in batch))

    async def _wait(self) -> None:
        """Until there is something to write, and a moment more for what comes with it."""
        if not self._dirty:
            first = min((one.not_before for one in self._missed), default=float("inf"))
            delay = max(0.0, first - time.monotonic())
            try:
                async with asyncio.timeout(None if delay == float("inf") else delay):
                    await self._changed.wait()
            except TimeoutError:
                pass
        self._changed.clear()
        await asyncio.sleep(WRITE_DELAY_SEC)

    async def _record_missed(self) -> None:
        now = time.monotonic()
        ripe = [one for one in self._missed if one.not_before <= now]
        runs = [one.run for one in ripe]
        for start in range(0, len(runs), BATCH):
            stored = await self._repository.record_runs(runs[start : start + BATCH])
            if stored:
                log.warning("%d slots were missed: no scheduler was there", stored)
        self._missed = [one for one in self._missed if one.not_before > now]
        for run in runs:
            self.settle(run.bot_id, run.slot)

    async def _write(self, bot_id: str) -> None:
        forward = self._dirty.pop(bot_id)
        waiting = self._open.get(bot_id)
        at = min(waiting) if waiting else self._next.get(bot_id)
        try:
            await self._repository.plan_bot(bot_id, at, forward=forward)
        except BaseException:
            self._mark(bot_id, forward=forward)
            raise
        if bot_id not in self._open and bot_id not in self._dirty:
            self._next.pop(bot_id, None)
