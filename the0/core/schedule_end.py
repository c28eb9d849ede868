"""The end of a run: read all that tells why, write it down, and only then remove the container."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from the0.core import exits
from the0.core.backoff import Backoff
from the0.core.engine import Engine
from the0.core.schedule_plan import Ending, Scheduler, ended_run, lost_run, next_attempt
from the0.core.schedule_state import ScheduleMetrics
from the0.core.schedule_times import Clock
from the0.errors import Conflict, Unavailable
from the0.launches import LaunchStore
from the0.models import Container, ContainerState, Run
from the0.pool import BlockingPool
from the0.repository import Repository

T = TypeVar("T")

ENDED = (ContainerState.EXITED, ContainerState.DEAD)
TAIL_LINES = 50
RETRY_SEC = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ends:
    """Records ends. `on_end` is told each recorded run, `on_retry` each attempt that is to follow
    (claimed already)."""

    engine: Engine
    files: BlockingPool
    launches: LaunchStore
    repository: Repository
    metrics: ScheduleMetrics
    backoff: Backoff
    installation: str
    who: Scheduler
    lease_sec: float
    now: Clock
    on_end: Callable[[Run], None]
    on_retry: Callable[[Run], None]

    async def collect(self, run: Run, container: Container, asked: str) -> Run:
        """Record how the container of `run` ended; returns the record. Waits as long as MongoDB or
        the engine does not answer: the container keeps what is to be known."""
        stored = await patiently(lambda: self.repository.get_run(run.id))
        if stored is None or stored.outcome is None:
            asked = asked or (stored.cancel if stored else "")
            ended = await patiently(lambda: self._read(run, container, asked))
            stored = await self._record(ended)
        await patiently(lambda: self.throw_away(container))
        return stored

    async def collect_of_others(self, container: Container) -> None:
        """The same for a container that ended and that nobody has come to yet. What it tells is
        the same for whoever reads it. Raises Unavailable."""
        run = await self.repository.get_run(container.run)
        if run is not None and run.outcome is None:
            await self.collect(run, container, "")
        else:
            await self.throw_away(container)

    async def lose(self, run: Run) -> Run:
        """Record that nobody can tell how `run` ended."""
        stored = await self._record(lost_run(run, self.now()))
        await patiently(lambda: self.files.call(self.launches.remove, run.launch))
        return stored

    async def record_unstarted(self, run: Run, *, claimed: bool) -> bool:
        """Record a run that nothing was started for; False when somebody else has it."""
        if claimed:
            return await self._record(run) is run
        stored = await patiently(lambda: self.repository.record_runs([run]))
        if stored:
            self._tell(run)
        return bool(stored)

    async def throw_away(self, container: Container) -> None:
        """Remove a container that ended or never ran, and its launch's rights. Raises Unavailable
        while somebody else is removing it."""
        try:
            await self.engine.call(self.engine.executor.remove, container.ref)
        except Conflict as error:
            raise Unavailable(error.message) from error
        if container.launch:
            await self.files.call(self.launches.remove, container.launch)

    async def choice_used(self, bot_id: str) -> None:
        """A person's answer to a StateConflict was handed to a launch."""
        await patiently(lambda: self.repository.clear_state_choice(self.installation, bot_id))

    async def _read(self, run: Run, container: Container, asked: str) -> Run:
        executor = self.engine.executor
        status = await self.files.call(self.launches.status, container.launch)
        result = await self.files.call(self.launches.result, container.launch)
        tail = await self.engine.call(executor.log_tail, container.ref, TAIL_LINES)
        exit_ = exits.exit_record(container, status, tail, asked, self.now())
        return ended_run(run, Ending(exit_, status, result, asked, container.started_at))

    async def _record(self, ended: Run) -> Run:
        """The next attempt is claimed first: of a scheduler that dies here none is lost."""
        follower = self._follower(ended)
        claimed = follower is not None and await patiently(
            lambda: self.repository.claim_run(follower)
        )
        if await patiently(lambda: self.repository.finish_run(ended)):
            self._tell(ended)
            if follower and claimed:
                self.on_retry(follower)
            return ended
        return await patiently(lambda: self.repository.get_run(ended.id)) or ended

    def _follower(self, ended: Run) -> Run | None:
        delay = self.backoff.delay(ended.bot_id, ended.attempt)
        follower = next_attempt(ended, delay)
        if follower is None:
            return None
        until = self.now() + timedelta(seconds=self.lease_sec)
        return replace(follower, owner=self.who.owner, host=self.who.host, lease_until=until)

    def _tell(self, run: Run) -> None:
        assert run.outcome is not None, run.id
        self.metrics.outcomes.labels(run.outcome.value).inc()
        about = f": {run.reason}" if run.reason else ""
        log.info(
            "bot %r: run %s of %s %s%s",
            run.bot_id,
            run.id,
            run.slot.isoformat(),
            run.outcome.value.replace("_", " "),
            about,
        )
        self.on_end(run)


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until the answer is certain."""
    while True:
        try:
            return await ask()
        except Unavailable as error:
            log.warning("the record of a run has to wait: %s", error)
            await asyncio.sleep(RETRY_SEC)
