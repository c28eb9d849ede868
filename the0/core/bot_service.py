"""BotService: keeps the realtime bots of one installation as MongoDB says.

The parts are elsewhere: what to do is decided in `plan`, done in `actions`, one bot after
another in `bots`, all of them in `reconcile`. This is the shell that starts them, feeds them with
what happens (Docker, NATS, agents, people) and stops them in order.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any

from the0.bot_events import BotEvent
from the0.core.actions import Actions, Tools
from the0.core.backoff import Backoff
from the0.core.bots import Bots
from the0.core.dependencies import Dependencies, Standing
from the0.core.desired import Desired
from the0.core.engine import Engine
from the0.core.lanes import Lanes
from the0.core.launcher import Launcher
from the0.core.plan import Hold, Unseen
from the0.core.reconcile import Reconciler
from the0.core.retirement import Remains, Retirement
from the0.core.runtimes import Runtimes
from the0.core.service_state import Metrics, ServiceState
from the0.core.site import Site, host_hold, host_probes, wait_for
from the0.core.status_store import StatusStore
from the0.core.tasks import Tasks
from the0.core.views import condition_json, running_bot_json
from the0.documents import parse_bot
from the0.errors import The0Error, Unavailable
from the0.events import EventSource
from the0.models import BotType, ContainerEvent
from the0.pool import BlockingPool
from the0.storage.state import StateStore

LOAD_RETRY_SEC = 2.0
STATUS_POLL_SEC = 1.0
EVENTS_GAP_SEC = 0.5
LANES_END_SEC = 10.0
LAST_WRITES_SEC = 5.0
BOTS_END_SEC = 1800.0
"""The most that ending all bots with the host may take: a thousand of them, each with its grace."""
BOTS_LOOK_SEC = 0.5
BOTS_UNSEEN = 60
"""After so many looks in a row without an answer the engine is given up."""

log = logging.getLogger(__name__)


class BotService:
    """Run one at a time for an installation (see `the0.core.leader`)."""

    def __init__(self, site: Site) -> None:
        self._site = site
        settings = site.settings
        self._engine = Engine(site.executor, settings.executor.timeout_sec)
        self._files = BlockingPool("The state directory", 4, 60.0, 4096)
        self._storage = BlockingPool("The storage", 4, settings.storage.timeout_sec)
        self._store = StatusStore(site.repository, site.args.installation)
        self._desired = Desired(lambda one: parse_bot(one, BotType.REALTIME, settings.limits))
        self._pass_wanted = asyncio.Event()
        self._events = self._event_source()
        self._dependencies = self._probes()
        tools = self._tools()
        actions = Actions(tools, settings.runner.starts_at_once)
        self._bots = Bots(tools, actions, self._hold)
        self._lanes = Lanes(self._bots.work)
        self._reconciler = Reconciler(
            tools, self._bots, self._lanes, self._desired, site.repository
        )
        self._retirement = tools.retirement
        self._mtimes: dict[str, int] = {}
        self._alive_at = time.monotonic()

    # --- what others ask ---

    @property
    def state(self) -> ServiceState:
        return self._bots.state

    @property
    def alive_sec(self) -> float:
        """Seconds since the loop of passes last moved."""
        return time.monotonic() - self._alive_at

    @property
    def standings(self) -> dict[str, Standing]:
        """Each dependency by name."""
        return self._dependencies.all()

    async def wake(self, bot_id: str | None) -> None:
        """Something changed: look at one bot, or at all, now. Raises Unavailable."""
        if bot_id is None:
            self._pass_wanted.set()
        else:
            await self._reconciler.read_one(bot_id)

    async def purge(self, bot_id: str) -> None:
        """Have a deleted bot's stored state go as well; durable on return. Raises Conflict while
        its document is there."""
        await self._retirement.purge(bot_id)
        self._lanes.wake(bot_id)

    def status(self) -> dict[str, Any]:
        """The body of `GET /status`, beside what only the host knows."""
        report = self._reconciler.report
        return {
            "since": self.state.since.isoformat(),
            "pass": report.as_json() if report else None,
            "bots": [running_bot_json(bot) for bot in self.state],
            "host_conditions": [condition_json(one) for one in self.state.host_conditions],
        }

    # --- running ---

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`. Raises the error of a part that ended unasked."""
        await self._load(stop)
        tasks = Tasks()
        tasks.start("statuses to MongoDB", self._store.run())
        tasks.start("dependencies", self._dependencies.run())
        tasks.start("passes", self._passes(tasks))
        tasks.start("agents' words", self._poll_statuses())
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

    async def _load(self, stop: asyncio.Event) -> None:
        """What is remembered comes first: without it, backoff and exits would start anew."""
        while not stop.is_set():
            try:
                await self._store.load()
                return
            except Unavailable as error:
                log.warning("waiting for MongoDB: %s", error)
            self._alive_at = time.monotonic()
            await wait_for(stop, LOAD_RETRY_SEC)

    async def _passes(self, tasks: Tasks) -> None:
        runner = self._site.settings.runner
        listening = False
        while True:
            self._pass_wanted.clear()
            self._alive_at = time.monotonic()
            due = await self._reconciler.run_pass(runner)
            self._alive_at = time.monotonic()
            if not listening:
                listening = True
                self._listen(tasks)
            await wait_for(self._pass_wanted, due)

    def _listen(self, tasks: Tasks) -> None:
        """After the first pass: act on what happens from now on."""
        self._engine.start_events(self._on_container, self._on_gap)
        if self._events:
            tasks.start("events of NATS", self._events.run())

    async def _shut_down(self, tasks: Tasks) -> None:
        await tasks.stop()
        if self._site.settings.runner.stop_bots_on_exit:
            await self._stop_bots()
        await self._lanes.close(LANES_END_SEC)
        try:
            async with asyncio.timeout(LAST_WRITES_SEC):
                await self._store.flush_all()
        except (TimeoutError, The0Error) as error:
            log.warning("some statuses could not be written at the end: %s", error)
        self._engine.close()
        self._files.close()
        self._storage.close()

    async def _stop_bots(self) -> None:
        """Every bot is stopped and its exit recorded before the host ends."""
        self._bots.ending = True
        with suppress(TimeoutError):
            async with asyncio.timeout(BOTS_END_SEC):
                if await self._until_no_bot_is_left():
                    return
        log.error("not all bots could be stopped; those that are left run on")

    async def _until_no_bot_is_left(self) -> bool:
        """A lane gives up for a moment when the engine does not answer, so it is looked again;
        False when that goes on."""
        unseen = 0
        while unseen < BOTS_UNSEEN:
            look = await self._engine.look()
            if isinstance(look, Unseen):
                unseen += 1
            elif not look:
                return True
            else:
                unseen = 0
                for bot_id in look:
                    self._lanes.wake(bot_id)
                await self._lanes.idle()
            await asyncio.sleep(BOTS_LOOK_SEC)
        return False

    # --- what happens ---

    def _on_container(self, event: ContainerEvent) -> None:
        self._lanes.wake(event.bot_id)

    def _on_gap(self) -> None:
        asyncio.get_running_loop().call_later(EVENTS_GAP_SEC, self._pass_wanted.set)

    async def _on_event(self, event: BotEvent) -> None:
        outcome = await self._site.repository.apply_event(event.type, event)
        log.info("event: bot %r %s: %s", event.id, event.action, outcome)
        if event.type is BotType.REALTIME:
            await self._reconciler.read_one(event.id)

    async def _on_reconnect(self) -> None:
        self._pass_wanted.set()

    async def _poll_statuses(self) -> None:
        """What the agents reported through the gateway, about a second after they did."""
        while True:
            await asyncio.sleep(STATUS_POLL_SEC)
            try:
                await self._read_statuses()
            except The0Error as error:
                log.warning("the agents' reports cannot be read: %s", error)

    async def _read_statuses(self) -> None:
        launches = self._site.launches
        changed = await self._files.call(launches.statuses_changed_since, self._mtimes)
        if not changed:
            return
        bots = {self._store.get(bot_id).launch: bot_id for bot_id in self._store.ids()}
        for launch, (mtime, status) in changed.items():
            self._mtimes[launch] = mtime
            self._bots.statuses[launch] = status
            if launch in bots:
                self._bots.refresh(bots[launch])
        for gone in self._mtimes.keys() - bots.keys() - changed.keys():
            del self._mtimes[gone], self._bots.statuses[gone]

    # --- putting it together ---

    def _tools(self) -> Tools:
        site, settings = self._site, self._site.settings
        launcher = Launcher(settings, site.args.installation)
        remains = Remains(
            engine=self._engine,
            repository=site.repository,
            store=self._store,
            launches=site.launches,
            files=self._files,
            spool=settings.state_dir.spool,
            states=StateStore(site.storage, settings.storage.state_bucket),
            storage=self._storage,
            plugin=site.storage,
            logs_bucket=settings.storage.logs_bucket,
            installation=site.args.installation,
        )
        return Tools(
            engine=self._engine,
            files=self._files,
            launches=site.launches,
            launcher=launcher,
            runtimes=Runtimes(site.runtimes, site.args, self._engine, launcher),
            store=self._store,
            metrics=Metrics(),
            retirement=Retirement(remains),
            backoff=Backoff.of(settings.runner),
            exits_kept=settings.runner.exits_kept,
            wanted=self._desired.get,
        )

    def _event_source(self) -> EventSource | None:
        settings = self._site.settings
        if not settings.nats.url:
            return None
        return EventSource(
            settings.nats, settings.general.instance, self._on_event, self._on_reconnect
        )

    def _probes(self) -> Dependencies:
        probes = host_probes(self._site, self._engine, self._storage, self._events)
        return Dependencies(probes, self._pass_wanted.set)

    def _hold(self) -> Hold | None:
        """Why nothing may be started at the moment."""
        return host_hold(self._dependencies, prepared=self._reconciler.prepared)
