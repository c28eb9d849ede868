"""The passes: everything looked at once, and the lanes woken of those for whom there is a step."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from the0.core.actions import Tools
from the0.core.bots import Bots
from the0.core.desired import DOUBT_SEC, Desired, ReadReport
from the0.core.engine import Look
from the0.core.lanes import Lanes
from the0.core.plan import STATE_CONFLICT, Do, Unseen
from the0.core.tracked import Outage, after_outage, merged, without
from the0.errors import The0Error
from the0.models import Bot, BotType, Condition, Container
from the0.repository import Repository
from the0.settings import RunnerSettings

READ_TIMEOUT_SEC = 60.0
ENGINE_RETRY_SEC = 1.0
MAINTENANCE_EVERY_SEC = 600.0
YIELD_EVERY = 500
OF_READS = ("DesiredShrunk", "NamelessDocuments", "SharedIds")
"""The host's conditions that a read of MongoDB brings; all others are the engine's."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PassReport:
    """The last pass: when it ended, how long it took (seconds, and of CPU), what it learnt."""

    ended_at: datetime
    seconds: float
    cpu_seconds: float
    bots: int
    containers: int
    steps: int
    fault: str = ""

    def as_json(self) -> dict[str, Any]:
        """As `GET /status` shows it, the time in ISO 8601 like all others there."""
        return {**vars(self), "ended_at": self.ended_at.isoformat()}


class Reconciler:
    """Passes over all bots. A pass never waits for what it sets going."""

    def __init__(
        self,
        tools: Tools,
        bots: Bots,
        lanes: Lanes,
        desired: Desired,
        repository: Repository,
    ) -> None:
        self.report: PassReport | None = None
        self.prepared = False
        self._tools = tools
        self._bots = bots
        self._lanes = lanes
        self._desired = desired
        self._repository = repository
        self._outage: Outage | None = None
        self._maintained = float("-inf")

    async def run_pass(self, settings: RunnerSettings) -> float:
        """One pass; returns after how many seconds the next one is due."""
        begun, cpu = time.monotonic(), time.process_time()
        self._bots.worked.clear()
        look = await self._tools.engine.look()
        known = () if isinstance(look, Unseen) else look.keys()
        report, fault = await self._read(known)
        steps = 0
        if not isinstance(look, Unseen):
            await self._look_at_runtimes()
            await self._prepare()
            self._excuse_outage()
            steps = await self._consider_all(look)
            await self._maintain(look)
        fault = fault or self._tools.engine.fault
        self._note(fault, begun, cpu, look, steps)
        if isinstance(look, Unseen):
            return ENGINE_RETRY_SEC
        doubted = report is not None and report.doubted > 0
        interval = settings.reconcile_interval_sec
        return min(interval, DOUBT_SEC) if doubted else interval

    async def read_one(self, bot_id: str) -> None:
        """Take in what MongoDB says of one bot, and let its lane look. Raises Unavailable."""
        document = await self._repository.get_bot(BotType.REALTIME, bot_id)
        if document is None:
            self._desired.remove(bot_id)
        else:
            self._desired.put(bot_id, document)
        if self._tools.store.get(bot_id).has_condition(STATE_CONFLICT):
            await self._tools.retirement.take_choice(bot_id)
        self._lanes.wake(bot_id)

    async def _read(self, expected: Collection[str]) -> tuple[ReadReport | None, str]:
        """The documents as they are, or why they cannot be had: then nothing is concluded."""
        begun = time.monotonic()
        self._desired.begin_read()
        try:
            async with asyncio.timeout(READ_TIMEOUT_SEC):
                documents = await self._repository.desired(BotType.REALTIME)
                for bot_id in list(self._tools.store.ids()):
                    if self._tools.store.get(bot_id).has_condition(STATE_CONFLICT):
                        await self._tools.retirement.take_choice(bot_id)
        except TimeoutError:
            return None, f"MongoDB did not give all documents within {READ_TIMEOUT_SEC:g} s"
        except The0Error as error:
            return None, error.message
        report = self._desired.read(documents, expected, begun)
        self._note_read(report)
        return report, ""

    def _note_read(self, report: ReadReport) -> None:
        now = datetime.now(UTC)
        fresh = []
        if report.doubted:
            text = (
                f"{report.doubted} bots are missing from the last read of MongoDB, more than half "
                "of all; nothing is stopped for that until a read "
                f"{DOUBT_SEC:g} s later says the same."
            )
            fresh.append(Condition("DesiredShrunk", "SeenOnce", text, now))
        if report.nameless:
            text = f"{report.nameless} documents of bots have no usable id and are set aside."
            fresh.append(Condition("NamelessDocuments", "NoId", text, now))
        if report.shared:
            text = (
                f"{len(report.shared)} ids have several documents, {min(report.shared)!r} among "
                "them; one of each counts. Delete those that should not be there."
            )
            fresh.append(Condition("SharedIds", "TwoDocuments", text, now))
        self._host_conditions(OF_READS, fresh)

    def _host_conditions(self, types: Sequence[str], fresh: Sequence[Condition]) -> None:
        """Replace the host's conditions of these types."""
        before = self._bots.state.host_conditions
        since = merged([one for one in before if one.type in types], fresh)
        present = {one.type for one in fresh}
        self._bots.state.host_conditions = (
            *without(before, *types),
            *(one for one in since if one.type in present),
        )

    async def _look_at_runtimes(self) -> None:
        wanted = (self._desired.get(bot_id) for bot_id in self._desired.ids())
        names = {one.runtime for one in wanted if isinstance(one, Bot) and one.enabled}
        names |= {self._tools.store.get(bot_id).runtime for bot_id in self._tools.store.ids()}
        for name in names - {""}:
            await self._tools.runtimes.look(name)

    async def _prepare(self) -> None:
        """Networks and firewall as they should be."""
        engine = self._tools.engine
        try:
            found = await engine.call(engine.executor.prepare)
        except The0Error as error:
            text = f"Networks and firewall could not be made ready: {error.message}"
            found = [Condition("NetworkNotReady", "Failed", text, datetime.now(UTC))]
        else:
            self.prepared = True
        engines = [c.type for c in self._bots.state.host_conditions if c.type not in OF_READS]
        self._host_conditions(engines, found)

    def _excuse_outage(self) -> None:
        """Exits that were counted before it was known that the engine was going down."""
        outage = self._tools.engine.outage
        if outage is None or outage is self._outage:
            return
        self._outage = outage
        if not outage.witnessed:
            return
        store = self._tools.store
        for bot_id in list(store.ids()):
            store.put(bot_id, after_outage(store.get(bot_id), outage))

    async def _consider_all(self, look: Look) -> int:
        """Wake the lanes of those for whom there is something to do; how many."""
        ids = self._desired.ids() | look.keys() | {*self._tools.store.ids(), *self._bots.shown}
        woken = 0
        for number, bot_id in enumerate(ids):
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)
            woken += self._consider(bot_id, look.get(bot_id, ()))
        return woken

    def _consider(self, bot_id: str, seen: Sequence[Container]) -> bool:
        if bot_id in self._lanes.busy or bot_id in self._bots.worked:
            # What was seen may be older than what the lane did; it looks for itself once more.
            self._lanes.wake(bot_id)
            return True
        action = self._bots.consider(bot_id, seen)
        known = self._tools.store.get(bot_id).launch
        foreign = len(seen) == 1 and seen[0].launch != known
        if action.do is not Do.NOTHING or action.at is not None or foreign:
            self._lanes.wake(bot_id)
            return True
        return False

    async def _maintain(self, look: Look) -> None:
        """What is cleared away, seldom."""
        if time.monotonic() - self._maintained < MAINTENANCE_EVERY_SEC or not self._desired.known:
            return
        self._maintained = time.monotonic()
        in_use = {one.launch for seen in look.values() for one in seen}
        retirement = self._tools.retirement
        try:
            await retirement.sweep_launches(in_use, self._lanes.busy)
            await retirement.find_orphans({*self._desired.ids(), *look.keys()})
            await retirement.empty_trash()
        except The0Error as error:
            log.warning("clearing away has to wait: %s", error)

    def _note(self, fault: str, begun: float, cpu: float, look: Look | Unseen, steps: int) -> None:
        metrics = self._tools.metrics
        seconds = time.monotonic() - begun
        containers: Mapping[str, object] = {} if isinstance(look, Unseen) else look
        told = self.report.fault if self.report else ""
        self.report = PassReport(
            ended_at=datetime.now(UTC),
            seconds=seconds,
            cpu_seconds=time.process_time() - cpu,
            bots=len(self._desired),
            containers=len(containers),
            steps=steps,
            fault=fault,
        )
        metrics.passes.inc()
        metrics.pass_seconds.observe(seconds)
        metrics.last_pass.set_to_current_time()
        if fault:
            metrics.pass_failures.inc()
        if fault and fault != told:
            log.warning("this pass could not learn everything: %s", fault)


def free_disk_fault(path: str, min_free_mb: int) -> str:
    """Why nothing may be started for want of disk; empty while there is enough."""
    free_mb = shutil.disk_usage(path).free >> 20
    if free_mb >= min_free_mb:
        return ""
    return (
        f"Only {free_mb} MiB of disk are free at {path}; below {min_free_mb} MiB nothing is "
        "started. Free some, or lower runner.min_free_disk_mb."
    )
