"""One run of a scheduled bot, from its due time to its record.

A run reads from top to bottom: claim, start, see through, record. Whatever it has done is in
MongoDB or in the engine before the next step depends on it, so that another scheduler can go on
from any line of it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from the0.core.schedule_course import Course, RunTools
from the0.core.schedule_end import ENDED, patiently
from the0.core.schedule_plan import TIMED_OUT
from the0.core.schedule_start import Starter, find_why_not_held
from the0.errors import NotFound, Unavailable
from the0.models import Container, ContainerState

RETRY_SEC = 1.0

log = logging.getLogger(__name__)


class RunDriver:
    """Brings one run to its end. `on_claim` is called once it is certain who has its slot."""

    def __init__(
        self, tools: RunTools, course: Course, on_claim: Callable[[], None] = lambda: None
    ) -> None:
        self.course = course
        self.starting = True
        self._tools = tools
        self._on_claim = on_claim

    # --- what it is told ---

    def look(self) -> None:
        """Something may have happened to its container."""
        self.course.news.set()

    def stop(self, reason: str) -> None:
        """End it early; `reason` becomes its record's."""
        self.course.asked = self.course.asked or reason
        self.course.news.set()

    def give_up(self, reason: str) -> None:
        """It need not be started any more, unless that has begun."""
        self.course.given_up = reason
        self.course.news.set()

    # --- its life ---

    async def drive(self) -> None:
        """Start it when it is due, and see it through."""
        try:
            container = await Starter(self._tools, self.course, self._on_claim).start()
        finally:
            self.starting = False
        self._on_claim()
        if container is not None:
            await self._see_through(container)

    async def attend(self, container: Container) -> None:
        """See through what somebody else has created."""
        self.starting = False
        self._on_claim()
        await self._see_through(container)

    async def _see_through(self, container: Container) -> None:
        ends, course = self._tools.ends, self.course
        noting = asyncio.create_task(self._note_begun(), name=f"begin of run {course.run.id}")
        try:
            ended = await self._until_ended(container)
        finally:
            noting.cancel()
        if course.elsewhere:
            log.warning("run %s is looked after by another scheduler now", course.run.id)
        elif ended is None:
            course.run = await ends.lose(course.run)
        else:
            course.run = await ends.collect(course.run, ended, course.asked)

    async def _note_begun(self) -> None:
        """The start in MongoDB; and if that is no longer ours to tell, find out why."""
        run, repository = self.course.run, self._tools.repository
        started = run.started or self._tools.now()
        if not await patiently(lambda: repository.begin_run(run, started)):
            await find_why_not_held(self._tools, self.course)

    async def _until_ended(self, container: Container) -> Container | None:
        """The container as it ended; None when it is gone."""
        course = self.course
        began = course.run.started or container.created_at or self._tools.now()
        left = course.run.timeout_sec - (self._tools.now() - began).total_seconds()
        until = time.monotonic() + left
        while not course.elsewhere:
            try:
                seen = await self._inspect(container.ref)
                if seen is None or seen.state in ENDED:
                    return seen
                await self._tend(seen)
            except Unavailable as error:
                log.warning("run %s has to wait: %s", course.run.id, error)
                await asyncio.sleep(RETRY_SEC)
                continue
            if await course.pause(until - time.monotonic()):
                course.asked = course.asked or TIMED_OUT
        return None

    async def _tend(self, container: Container) -> None:
        tools, course = self._tools, self.course
        if container.state is ContainerState.PAUSED:
            await tools.engine.call(tools.engine.executor.unpause, container.ref)
        elif container.state is ContainerState.CREATED:
            await tools.engine.call(tools.engine.executor.start, container.ref)
        if course.asked:
            log.info(
                "bot %r: run %s is stopped: %s", course.run.bot_id, course.run.id, course.asked
            )
            await tools.stopping.stop(container)
            course.news.set()

    async def _inspect(self, ref: str) -> Container | None:
        try:
            return await self._tools.engine.call(self._tools.engine.executor.inspect, ref)
        except NotFound:
            return None
