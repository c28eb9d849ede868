"""What follows a run's record, and what is cleared away: seldom, and never in a run's way."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from the0.core.schedule_plan import failures_in_a_row
from the0.core.schedule_state import ScheduleMetrics
from the0.errors import The0Error
from the0.launches import LaunchStore
from the0.models import Outcome, Run
from the0.pool import BlockingPool
from the0.repository import Repository
from the0.settings import SchedulerSettings

LAUNCH_KEPT = timedelta(minutes=2)
"""How long a launch without a container is left alone: its container may be in the making."""

CLAIMS_KEPT = timedelta(days=1)
"""How long after its start deadline no slot may be claimed again, however far a clock was set back
and however many runs there are."""

EVERY_SEC = 600.0
TRIM_EVERY = 20
"""Of so many runs one has its bot's records trimmed; which one, its id says."""

WAITING = 10_000

Alert = Callable[[str, Mapping[str, Any]], None]
"""Tells whoever listens (bot id, what happened); never waits and never raises."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeepingTools:
    """What is kept in order, and who is told when a bot fails again and again."""

    repository: Repository
    launches: LaunchStore
    files: BlockingPool
    settings: SchedulerSettings
    metrics: ScheduleMetrics
    alert: Alert


class Keeping:
    """Looks at each recorded run once, in a task of its own."""

    def __init__(self, tools: KeepingTools) -> None:
        self._tools = tools
        self._ended: asyncio.Queue[Run] = asyncio.Queue(WAITING)
        self._maintained = float("-inf")

    def note(self, run: Run) -> None:
        """A run was recorded."""
        if not self._ended.full():
            self._ended.put_nowait(run)

    async def run(self) -> None:
        """Look at what was noted, for ever."""
        while True:
            run = await self._ended.get()
            try:
                await self._look_at(run)
            except The0Error as error:
                log.warning("what follows run %s has to be left out: %s", run.id, error)

    async def _look_at(self, run: Run) -> None:
        tools = self._tools
        if run.outcome in (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.LOST):
            await self._warn(run)
        if int(run.id, 16) % TRIM_EVERY == 0:
            since = datetime.now(UTC) - CLAIMS_KEPT - (run.deadline - run.due)
            await tools.repository.trim_runs(run.bot_id, tools.settings.runs_kept, since)

    async def _warn(self, run: Run) -> None:
        """Once, when the last of so many failures in a row is recorded."""
        tools, enough = self._tools, self._tools.settings.warn_after_failures
        newest = await tools.repository.list_runs(run.bot_id, 4 * enough)
        if failures_in_a_row(newest) != enough:
            return
        tools.metrics.failing.inc()
        log.warning("bot %r failed %d times in a row, at last: %s", run.bot_id, enough, run.reason)
        event = {
            "bot_id": run.bot_id,
            "failures": enough,
            "run": run.id,
            "slot": run.slot.isoformat(),
            "outcome": run.outcome.value if run.outcome else "",
            "reason": run.reason,
        }
        tools.alert(run.bot_id, event)

    async def maintain(self, in_use: Collection[str]) -> None:
        """Forget old records, take the rights of launches that have no container (any more), but
        only now and then. `in_use` are launches of containers that are there."""
        if time.monotonic() - self._maintained < EVERY_SEC:
            return
        self._maintained = time.monotonic()
        tools, now = self._tools, datetime.now(UTC)
        await tools.repository.forget_runs(now - timedelta(days=tools.settings.runs_kept_days))
        for launch in await tools.files.call(tools.launches.all):
            ours = launch.kind == "scheduled" and launch.launch not in in_use
            if ours and now - launch.created > LAUNCH_KEPT:
                await tools.files.call(tools.launches.remove, launch.launch)
