"""ScheduleService: runs the scheduled bots of one installation, beside any number of others.

The parts are elsewhere: `agenda` says what is due, `runs` brings it on its way, `start`, `run` and
`end` are the life of one run, `ledger` and `keeping` write behind. This is the shell that starts
them, feeds them with what happens (time, Docker, NATS, people) and stops them in order.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from the0.bot_events import BotEvent
from the0.core.backoff import Backoff
from the0.core.dependencies import Dependencies, Standing
from the0.core.engine import Engine
from the0.core.launcher import Launcher
from the0.core.plan import Absence, Invalid, Unseen
from the0.core.runtimes import Runtimes
from the0.core.schedule_agenda import Agenda, Verdict
from the0.core.schedule_commands import Commands
from the0.core.schedule_course import RunTools
from the0.core.schedule_end import Ends
from the0.core.schedule_gate import StartGate
from the0.core.schedule_keeping import Alert, Keeping, KeepingTools
from the0.core.schedule_ledger import Ledger
from the0.core.schedule_plan import NOBODY_THERE, Scheduler, new_run, unstarted
from the0.core.schedule_reader import ScheduleReader
from the0.core.schedule_runs import ActiveRuns
from the0.core.schedule_state import ScheduleMetrics
from the0.core.schedule_times import Clock, utc_now
from the0.core.schedule_views import scheduled_bot_json
from the0.core.site import Site, host_hold, host_probes, wait_for
from the0.core.stopping import Stopping
from the0.core.tasks import Breath, Tasks
from the0.core.views import condition_json
from the0.errors import The0Error
from the0.events import EventSource
from the0.models import (
    BotSchedule,
    BotType,
    Condition,
    Container,
    ContainerEvent,
    Outcome,
    Run,
    Trigger,
)
from the0.plugin.interfaces import Scheduler as SchedulerPlugin
from the0.pool import BlockingPool

TICK_SEC = 1.0
"""Longest sleep of the timers: a clock that was set is noticed within this time."""

RENEWALS_PER_LEASE = 3
ENGINE_RETRY_SEC = 1.0
STARTS_END_SEC = 10.0
LAST_WRITES_SEC = 5.0

log = logging.getLogger(__name__)


class ScheduleService:
    """Any number of them may run for an installation: what each claims is its own. `is_first`
    tells whether no other one was there when this one came."""

    def __init__(
        self,
        site: Site,
        scheduler: SchedulerPlugin,
        alert: Alert,
        is_first: Callable[[], bool],
        now: Clock = utc_now,
    ) -> None:
        settings = site.settings
        self._now = now
        self._is_first = is_first
        self._site = site
        self._settings = settings.scheduler
        self.metrics = ScheduleMetrics()
        self.who = Scheduler(_owner(), socket.gethostname())
        self._engine = Engine(site.executor, settings.executor.timeout_sec, BotType.SCHEDULED)
        self._files = BlockingPool("The state directory", 4, 60.0, 4096)
        self._storage = BlockingPool("The storage", 2, settings.storage.timeout_sec)
        self._reader = ScheduleReader(
            site.repository, scheduler, settings.limits, settings.scheduler, site.args.installation
        )
        self._agenda = Agenda(scheduler)
        self._ledger = Ledger(site.repository)
        self._keeping = Keeping(
            KeepingTools(
                site.repository, site.launches, self._files, self._settings, self.metrics, alert
            )
        )
        self._events = self._event_source()
        self._dependencies = Dependencies(
            host_probes(site, self._engine, self._storage, self._events), _nothing
        )
        self._runs = ActiveRuns(self.who, self._settings.lease_sec, self._tools)
        self._rearmed = asyncio.Event()
        self._read_wanted = asyncio.Event()
        self._prepared = False
        self._host_conditions: Sequence[Condition] = ()
        self._alive_at = time.monotonic()
        self._since = self._now()

    # --- what others ask ---

    @property
    def alive_sec(self) -> float:
        """Seconds since the timers last moved."""
        return time.monotonic() - self._alive_at

    @property
    def standings(self) -> dict[str, Standing]:
        """Each dependency by name."""
        return self._dependencies.all()

    async def wake(self, bot_id: str | None) -> None:
        """Something changed: read one bot, or all, now. Raises Unavailable."""
        if bot_id is None:
            self._read_wanted.set()
        else:
            await self._reader.read_one(bot_id)
            self._take_in(bot_id)

    async def run_now(self, bot_id: str) -> Run:
        """See :meth:`Commands.run_now`."""
        return await self._commands.run_now(bot_id)

    async def cancel(self, run_id: str) -> None:
        """See :meth:`Commands.cancel`."""
        await self._commands.cancel(run_id)

    def status(self) -> dict[str, Any]:
        """The body of `GET /status`, beside what only the host knows."""
        result = self._reader.result
        return {
            "owner": self.who.owner,
            "since": self._since.isoformat(),
            "read": result.as_json() if result else None,
            "bots": self._shown(),
            "host_conditions": [condition_json(one) for one in self._host_conditions],
        }

    def _shown(self) -> list[dict[str, Any]]:
        running, last = self._runs.by_bot(), self._reader.last_runs
        shown = []
        for bot_id in self._reader.desired.ids():
            wanted = self._reader.desired.get(bot_id)
            if isinstance(wanted, BotSchedule | Invalid):
                next_due = self._agenda.next_slot(bot_id)
                row = (bot_id, wanted, next_due, running.get(bot_id), last.get(bot_id))
                shown.append(scheduled_bot_json(*row))
        return shown

    # --- running ---

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`. Raises the error of a part that ended unasked."""
        tasks = Tasks()
        tasks.start("plans to MongoDB", self._ledger.run())
        tasks.start("records kept", self._keeping.run())
        tasks.start("dependencies", self._dependencies.run())
        tasks.start("reads", self._reads(tasks))
        tasks.start("leases", self._leases())
        tasks.start("timers", self._timers())
        stopped = asyncio.create_task(stop.wait(), name="asked to stop")
        failed = asyncio.create_task(tasks.failure(), name="failure of a part")
        try:
            await asyncio.wait({stopped, failed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            failed.cancel()
            await self._shut_down(tasks)
        if failed.done() and not failed.cancelled():
            raise failed.result()

    async def _shut_down(self, tasks: Tasks) -> None:
        """Runs go on without us; others, or the next one of us, see them through."""
        await tasks.stop()
        await self._runs.close(STARTS_END_SEC)
        try:
            async with asyncio.timeout(LAST_WRITES_SEC):
                await self._ledger.flush()
        except (TimeoutError, The0Error) as error:
            log.warning("some plans could not be written at the end: %s", error)
        self._engine.close()
        self._files.close()
        self._storage.close()

    async def _timers(self) -> None:
        """Fire what is due, at its time."""
        while True:
            self._rearmed.clear()
            self._alive_at = time.monotonic()
            await self._fire()
            self.metrics.schedules.set(len(self._agenda))
            self.metrics.active.set(len(self._runs))
            due = self._agenda.next_due()
            left = (due - self._now()).total_seconds() if due else TICK_SEC
            await wait_for(self._rearmed, min(max(left, 0.0), TICK_SEC))

    async def _fire(self) -> None:
        """Bring what is due on its way; of many at once the first ones while the others are still
        looked at."""
        now, breath = self._now(), Breath()
        while verdict := self._agenda.take_due(now):
            self._carry_out(verdict, forward=True)
            await breath.take()

    def _carry_out(self, verdict: Verdict, *, forward: bool) -> None:
        bot, now = verdict.bot, self._now()
        run_of = partial(new_run, bot, who=self.who, now=now, trigger=Trigger.SCHEDULE)
        for slot in verdict.start:
            self._ledger.open(bot.id, slot)
            settle = partial(self._ledger.settle, bot.id, slot)
            self._runs.begin(run_of(slot), bot, on_claim=settle)
        if verdict.missed:
            # Another scheduler may have it in its queue, until its start deadline. There is none
            # with slots of a time before this one came, if this one was the first.
            certain = not forward and self._is_first()
            missed = [run_of(slot) for slot in verdict.missed]
            times = [now if certain else max(now, run.deadline) for run in missed]
            records = [
                unstarted(run, Outcome.MISSED, NOBODY_THERE, at)
                for run, at in zip(missed, times, strict=True)
            ]
            self._ledger.missed(bot.id, records, now)
        if verdict.next != bot.planned or verdict.start or verdict.missed:
            self._ledger.plan(bot.id, verdict.next, forward=forward)

    async def _leases(self) -> None:
        while True:
            try:
                await self._runs.tend()
            except The0Error as error:
                log.warning("the runs' leases have to wait: %s", error)
            await asyncio.sleep(self._settings.lease_sec / RENEWALS_PER_LEASE)

    async def _reads(self, tasks: Tasks) -> None:
        listening = False
        while True:
            self._read_wanted.clear()
            seen = await self._engine.look()
            await self._read(() if isinstance(seen, Unseen) else seen.keys())
            if not isinstance(seen, Unseen):
                await self._prepare()
                await self._tend_containers([one for some in seen.values() for one in some])
            if not listening:
                listening = True
                self._listen(tasks)
            interval = self._settings.reread_interval_sec
            unseen = isinstance(seen, Unseen)
            await wait_for(self._read_wanted, ENGINE_RETRY_SEC if unseen else interval)

    def _listen(self, tasks: Tasks) -> None:
        """After the first read: act on what happens from now on."""
        self._engine.start_events(self._on_container, self._read_wanted.set)
        if self._events:
            tasks.start("events of NATS", self._events.run())

    async def _read(self, expected: Collection[str]) -> None:
        changed = await self._reader.read_all(expected)
        breath = Breath()
        for bot_id in changed:
            self._take_in(bot_id)
            await breath.take()
        self.metrics.last_read.set_to_current_time()
        await self._look_at_runtimes()

    async def _look_at_runtimes(self) -> None:
        wanted = (self._reader.desired.get(bot_id) for bot_id in self._reader.desired.ids())
        for name in {one.runtime for one in wanted if isinstance(one, BotSchedule)}:
            await self._runtimes.look(name)

    async def _prepare(self) -> None:
        """Networks and firewall as they should be."""
        try:
            self._host_conditions = await self._engine.call(self._engine.executor.prepare)
        except The0Error as error:
            text = f"Networks and firewall could not be made ready: {error.message}"
            now = self._now()
            self._host_conditions = [Condition("NetworkNotReady", "Failed", text, now)]
        else:
            self._prepared = True

    async def _tend_containers(self, containers: Collection[Container]) -> None:
        try:
            await self._runs.sweep(containers)
            await self._keeping.maintain({one.launch for one in containers})
        except The0Error as error:
            log.warning("clearing away has to wait: %s", error)

    # --- what happens ---

    def _take_in(self, bot_id: str) -> None:
        """A bot as it is wanted now."""
        wanted = self._reader.desired.get(bot_id)
        if wanted is Absence.MISSING:
            for driver in self._runs.of_bot(bot_id):
                driver.stop("the bot was deleted")
        if verdict := self._agenda.take_in(bot_id, wanted, self._now()):
            self._carry_out(verdict, forward=False)
        self._rearmed.set()

    def _on_container(self, event: ContainerEvent) -> None:
        self._runs.look(event.bot_id)

    async def _on_event(self, event: BotEvent) -> None:
        outcome = await self._site.repository.apply_event(event.type, event)
        log.info("event: scheduled bot %r %s: %s", event.id, event.action, outcome)
        if event.type is BotType.SCHEDULED:
            await self.wake(event.id)

    async def _on_reconnect(self) -> None:
        self._read_wanted.set()

    def _on_end(self, run: Run) -> None:
        self._reader.note_ended(run)
        self._keeping.note(run)

    # --- putting it together ---

    def _tools(self, runs: ActiveRuns) -> RunTools:
        site, lease_sec = self._site, self._settings.lease_sec
        launcher = Launcher(site.settings, site.args.installation)
        self._runtimes = Runtimes(site.runtimes, site.args, self._engine, launcher)
        tools = RunTools(
            engine=self._engine,
            files=self._files,
            launches=site.launches,
            launcher=launcher,
            runtimes=self._runtimes,
            repository=site.repository,
            gate=StartGate(self._settings.starts_at_once),
            stopping=Stopping(self._engine, self._files, site.launches, launcher),
            ends=self._ends(runs),
            metrics=self.metrics,
            lease_sec=lease_sec,
            current=self._reader.current,
            hold=lambda: host_hold(self._dependencies, prepared=self._prepared),
            state_keep=self._reader.state_keep,
            leased=runs.leased,
            now=self._now,
        )
        self._commands = Commands(self.who, lease_sec, self._reader, runs, tools)
        return tools

    def _ends(self, runs: ActiveRuns) -> Ends:
        settings, site = self._settings, self._site
        return Ends(
            engine=self._engine,
            files=self._files,
            launches=site.launches,
            repository=site.repository,
            metrics=self.metrics,
            backoff=Backoff(settings.retry_initial_sec, settings.retry_max_sec, float("inf")),
            installation=site.args.installation,
            who=self.who,
            lease_sec=settings.lease_sec,
            now=self._now,
            on_end=self._on_end,
            on_retry=lambda run: runs.begin(run, None, claimed=True),
        )

    def _event_source(self) -> EventSource | None:
        settings = self._site.settings
        if not settings.nats.url:
            return None
        return EventSource(
            settings.nats,
            settings.general.instance,
            self._on_event,
            self._on_reconnect,
            BotType.SCHEDULED,
        )


def _owner() -> str:
    """A name that no other scheduler ever has."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


def _nothing() -> None:
    return
