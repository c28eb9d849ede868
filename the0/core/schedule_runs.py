"""The runs that one scheduler looks after: begun, renewed, taken over from others."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from the0.core.plan import Unseen
from the0.core.schedule_course import Course, RunTools
from the0.core.schedule_end import ENDED
from the0.core.schedule_leases import LeaseWatch
from the0.core.schedule_plan import NOT_BEGUN, Scheduler, cannot_begin
from the0.core.schedule_run import RunDriver
from the0.core.schedule_start import SAFE_SHARE
from the0.errors import The0Error, Unavailable
from the0.models import BotSchedule, Container, ContainerState, Run

CLOSE_POLL_SEC = 0.05
NOT_RUNNING = (*ENDED, ContainerState.CREATED)
SUPERSEDED = "the bot's next slot was due before it could be started"

log = logging.getLogger(__name__)


def _nothing() -> None:
    return


class ActiveRuns:
    """Run id -> its driver. What `make_tools` makes may lead back to this object."""

    def __init__(
        self, who: Scheduler, lease_sec: float, make_tools: Callable[[ActiveRuns], RunTools]
    ) -> None:
        self._who = who
        self._lease_sec = lease_sec
        self._leased_until = 0.0
        self._watch = LeaseWatch(who.owner, lease_sec)
        self._drivers: dict[str, RunDriver] = {}
        self._by_bot: defaultdict[str, set[RunDriver]] = defaultdict(set)
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._closed = False
        self._tools = make_tools(self)

    def __len__(self) -> int:
        return len(self._drivers)

    def leased(self) -> float:
        """Until when, of :func:`time.monotonic`, our leases are safe."""
        return self._leased_until

    # --- what others ask ---

    def of_bot(self, bot_id: str) -> Collection[RunDriver]:
        return tuple(self._by_bot.get(bot_id, ()))

    def by_bot(self) -> dict[str, Run]:
        """Bot id -> the newest run of it that this scheduler looks after."""
        runs = sorted((one.course.run for one in self._drivers.values()), key=lambda run: run.slot)
        return {run.bot_id: run for run in runs}

    def look(self, bot_id: str) -> None:
        """Something happened to a container of this bot."""
        for driver in self.of_bot(bot_id):
            driver.look()

    def stop(self, run_id: str, reason: str) -> None:
        """End a run early, if it is one of ours."""
        if driver := self._drivers.get(run_id):
            driver.stop(reason)

    # --- beginning ---

    def begin(
        self,
        run: Run,
        bot: BotSchedule | None,
        *,
        claimed: bool = False,
        on_claim: Callable[[], None] = _nothing,
    ) -> None:
        """Bring a run on its way. Of one bot's runs that wait to be started only the newest is."""
        driver = RunDriver(self._tools, Course(run, bot, claimed, asked=run.cancel), on_claim)
        waiting = [one for one in self.of_bot(run.bot_id) if one.starting]
        newest = max((one.course.run.slot for one in waiting), default=run.slot)
        for one in (*waiting, driver):
            if one.course.run.slot < max(newest, run.slot):
                one.give_up(SUPERSEDED)
        self._follow(driver, driver.drive())

    def _follow(self, driver: RunDriver, life: Coroutine[Any, Any, None]) -> None:
        run = driver.course.run
        if self._closed or run.id in self._drivers:
            life.close()
            return
        self._drivers[run.id] = driver
        self._by_bot[run.bot_id].add(driver)
        task = asyncio.create_task(life, name=f"run {run.id} of {run.bot_id}")
        self._tasks[task] = run.id
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        run_id = self._tasks.pop(task)
        driver = self._drivers.pop(run_id)
        bot_id = driver.course.run.bot_id
        self._by_bot[bot_id].discard(driver)
        if not self._by_bot[bot_id]:
            del self._by_bot[bot_id]
        if not task.cancelled() and (error := task.exception()):
            # It is still in MongoDB as ours, and the next look there takes it up again.
            log.error("unexpected error in run %s", run_id, exc_info=error)

    # --- leases ---

    async def tend(self) -> None:
        """Renew what is ours, take over what has lapsed, hear who asked for an end. Raises
        Unavailable, and then nothing is concluded from what was seen before."""
        repository, owner = self._tools.repository, self._who.owner
        try:
            if self._drivers:
                before = time.monotonic()
                await repository.renew_leases(owner, self._until())
                self._leased_until = before + SAFE_SHARE * self._lease_sec
            active = await repository.active_runs()
        except Unavailable:
            self._watch.blink()
            raise
        for run in active:
            if run.owner == owner:
                await self._tend_own(run)
        for run in self._watch.lapsed(active):
            until = self._until()
            if await repository.take_over(run, owner, until):
                self._tools.metrics.takeovers.inc()
                await self._adopt(replace(run, owner=owner, lease_until=until))

    async def _tend_own(self, run: Run) -> None:
        if run.id not in self._drivers:
            stored = await self._tools.repository.get_run(run.id)
            if stored and not stored.outcome and run.id not in self._drivers:
                await self._adopt(stored)
        elif run.cancel:
            self.stop(run.id, run.cancel)

    async def _adopt(self, run: Run) -> None:
        """Go on with a run that somebody left where it stands."""
        tools = self._tools
        seen = await tools.engine.look_at(run.bot_id)
        if isinstance(seen, Unseen):
            return  # it is in MongoDB as ours, and looked at again
        own = next((one for one in seen if one.run == run.id), None)
        log.info("bot %r: run %s is taken up where it was left", run.bot_id, run.id)
        if own is not None and own.state is not ContainerState.CREATED:
            self._attend(run, own)
            return
        if own is not None:
            await tools.ends.throw_away(own)
        elif await self._has_begun(run):
            await tools.ends.lose(run)
            return
        self.begin(run, None, claimed=True)

    async def _has_begun(self, run: Run) -> bool:
        """Whether its container was started once, as far as anybody noted that."""
        tools = self._tools
        status = await tools.files.call(tools.launches.status, run.launch)
        return run.started is not None or status is not None

    def _attend(self, run: Run, container: Container) -> None:
        driver = RunDriver(self._tools, Course(run, claimed=True, asked=run.cancel), _nothing)
        self._follow(driver, driver.attend(container))

    def _until(self) -> datetime:
        return self._tools.now() + timedelta(seconds=self._lease_sec)

    # --- containers ---

    async def sweep(self, containers: Collection[Container]) -> None:
        """Look after drivers whose container is not seen running, and remove what is left of runs
        whose record is complete. Raises Unavailable."""
        alive = {one.run for one in containers if one.state is ContainerState.RUNNING}
        for run_id, driver in self._drivers.items():
            if not driver.starting and run_id not in alive:
                driver.look()
        await self._end_hopeless()
        for one in containers:
            if one.state in NOT_RUNNING and one.run not in self._drivers:
                await self._clear_away(one)

    async def _end_hopeless(self) -> None:
        """A run that never begins would keep all others of its bot waiting."""
        tools = self._tools
        for driver in tuple(self._drivers.values()):
            run = driver.course.run
            if driver.starting:
                continue
            status = await tools.files.call(tools.launches.status, run.launch)
            if cannot_begin(run, status, tools.now()):
                driver.stop(NOT_BEGUN)

    async def _clear_away(self, container: Container) -> None:
        run = await self._tools.repository.get_run(container.run)
        if run is None or run.outcome is not None:
            await self._tools.ends.throw_away(container)

    # --- the end ---

    async def close(self, timeout_sec: float) -> None:
        """Let starts in flight end within `timeout_sec`; everything else is left where it stands,
        for others to take over at once."""
        self._closed = True
        queued = self._queued()
        for task, run_id in self._tasks.items():
            if not self._drivers[run_id].course.creating:
                task.cancel()
        until = time.monotonic() + timeout_sec
        while any(one.course.creating for one in self._drivers.values()):
            if time.monotonic() > until:
                break
            await asyncio.sleep(CLOSE_POLL_SEC)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._tools.repository.record_runs(queued)
            await self._tools.repository.release_leases(self._who.owner)
        except The0Error as error:
            log.warning("the runs could not be handed over: %s", error)

    def _queued(self) -> Sequence[Run]:
        """Runs that are due, as claims of nobody. A scheduler was there for their slots, so that
        `catch_up` is no matter: the next one takes them over."""
        courses = [one.course for one in self._drivers.values() if one.starting]
        return [
            replace(one.run, owner="", lease_until=None)
            for one in courses
            if not (one.claimed or one.asked or one.given_up)
        ]
