"""What people ask of the scheduler: a run now, the end of one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from the0.core.plan import Unseen
from the0.core.schedule_course import RunTools
from the0.core.schedule_end import ENDED
from the0.core.schedule_plan import Scheduler, new_run
from the0.core.schedule_reader import ScheduleReader
from the0.core.schedule_room import is_over
from the0.core.schedule_runs import ActiveRuns
from the0.errors import Conflict, NotFound, Unavailable
from the0.models import BotSchedule, Concurrency, Run, Trigger

BY_A_PERSON = "a person cancelled it"


class Commands:
    """Carries out commands; durable when they return."""

    def __init__(
        self,
        who: Scheduler,
        lease_sec: float,
        reader: ScheduleReader,
        runs: ActiveRuns,
        tools: RunTools,
    ) -> None:
        self._who = who
        self._lease_sec = lease_sec
        self._reader = reader
        self._runs = runs
        self._tools = tools

    async def run_now(self, bot_id: str) -> Run:
        """A run of the bot, claimed and on its way. Raises NotFound, Conflict while it may not
        run, Unavailable."""
        bot = await self._reader.runnable(bot_id)
        await self._refuse_overlap(bot)
        now = self._tools.now()
        slot = now.replace(microsecond=now.microsecond // 1000 * 1000)
        run = new_run(bot, slot, self._who, now, Trigger.MANUAL)
        run = replace(run, lease_until=now + timedelta(seconds=self._lease_sec))
        if not await self._tools.repository.claim_run(run):
            raise Conflict(f"Another run of bot {bot_id!r} began in this moment.")
        self._runs.begin(run, bot, claimed=True)
        return run

    async def cancel(self, run_id: str) -> None:
        """Have a run end early. Raises NotFound, Conflict when it has ended, Unavailable."""
        repository = self._tools.repository
        run = await repository.get_run(run_id)
        if run is None:
            raise NotFound(f"There is no run {run_id!r}.")
        if run.outcome is not None:
            raise Conflict(f"The run {run_id} has ended already: {run.outcome}.")
        await repository.cancel_run(run_id, BY_A_PERSON)
        # One of another scheduler's is ended by that, at its next look.
        self._runs.stop(run_id, BY_A_PERSON)

    async def _refuse_overlap(self, bot: BotSchedule) -> None:
        if bot.schedule.concurrency is Concurrency.REPLACE:
            return
        seen = await self._tools.engine.look_at(bot.id)
        if isinstance(seen, Unseen):
            raise Unavailable(self._tools.engine.fault)
        for one in seen:
            if one.state not in ENDED and not await is_over(self._tools, one):
                raise Conflict(f"The run {one.run} of bot {bot.id!r} still goes on.")
