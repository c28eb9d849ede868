"""What the steps of one run share: what they are carried out with, and how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from the0.core.engine import Engine
from the0.core.launcher import Launcher
from the0.core.plan import Hold
from the0.core.runtimes import Runtimes
from the0.core.schedule_end import Ends
from the0.core.schedule_gate import StartGate
from the0.core.schedule_plan import unstarted
from the0.core.schedule_state import ScheduleMetrics
from the0.core.schedule_times import Clock
from the0.core.stopping import Stopping
from the0.launches import LaunchStore
from the0.models import BotSchedule, Outcome, Run
from the0.pool import BlockingPool
from the0.repository import Repository


@dataclass(frozen=True)
class RunTools:
    """What runs are carried out with.

    `current` reads a bot as MongoDB has it now: None when it is not to run any more. `hold` says
    why nothing can be started at the moment, `state_keep` gives a person's answer to a
    StateConflict, and `leased` until when (of :func:`time.monotonic`) our leases are safe.
    """

    engine: Engine
    files: BlockingPool
    launches: LaunchStore
    launcher: Launcher
    runtimes: Runtimes
    repository: Repository
    gate: StartGate
    stopping: Stopping
    ends: Ends
    metrics: ScheduleMetrics
    lease_sec: float
    current: Callable[[str], Awaitable[BotSchedule | None]]
    hold: Callable[[], Hold | None]
    state_keep: Callable[[str], str | None]
    leased: Callable[[], float]
    now: Clock


@dataclass
class Course:
    """One run under way, and its bot as last read (None where that was not yet).

    `claimed` says that it is in MongoDB as ours; `asked` why it is to end early, `given_up` why
    it need not be started any more, `waits_for` what keeps it from starting; `creating` that
    it is being started right now, `elsewhere` that another scheduler looks after it. `news` wakes
    whoever waits.
    """

    run: Run
    bot: BotSchedule | None = None
    claimed: bool = False
    asked: str = ""
    given_up: str = ""
    waits_for: str = "it could not be started in time"
    creating: bool = False
    elsewhere: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def too_late(self, now: datetime) -> str:
        """Why it is not started any more; empty while its deadline allows it."""
        return self.waits_for if now > self.run.deadline else ""

    async def pause(self, seconds: float) -> bool:
        """Wait for news (which are then none any more), or until the time is over; whether it
        is."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self.news.wait()
        except TimeoutError:
            return True
        self.news.clear()
        return False

    async def end_unstarted(self, tools: RunTools, outcome: Outcome, reason: str) -> None:
        """Record that nothing was started, unless the slot is somebody else's."""
        run = unstarted(self.run, outcome, reason, tools.now())
        if await tools.ends.record_unstarted(run, claimed=self.claimed):
            self.run = run
