"""The start of a run: wait until it may be, claim its slot, create and start its container."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from the0.core.launcher import Prepared
from the0.core.plan import Hold, Unseen
from the0.core.runtimes import Ready
from the0.core.schedule_course import Course, RunTools
from the0.core.schedule_end import patiently
from the0.core.schedule_room import make_room
from the0.errors import Conflict, The0Error, Unavailable
from the0.models import BotSchedule, Container, ContainerState, Outcome

RETRY_SEC = 1.0
SAFE_SHARE = 0.6
"""Of a lease: after this part of it, measured by our own clock, it is renewed before a start."""

log = logging.getLogger(__name__)


class Occupied(Exception):
    """The bot has a container already."""


class Starter:
    """Brings one run to its container. `on_claim` is called once it is certain who has the slot.

    Between the call that creates a container and its answer lies a moment in which nobody knows
    whether there is one: then nothing is concluded before the engine was asked again.
    """

    def __init__(self, tools: RunTools, course: Course, on_claim: Callable[[], None]) -> None:
        self._tools = tools
        self._course = course
        self._on_claim = on_claim
        self._held_until = 0.0
        self._perhaps_created = False
        self._lag_noted = False

    async def start(self) -> Container | None:
        """The started container; None when there is none, and then the record says why, unless
        the slot is somebody else's."""
        await self._until_due()
        while True:
            try:
                if self._perhaps_created and (found := await self._find_own()):
                    return found
                if await self._is_over():
                    return None
                return await self._try()
            except Occupied:
                self._perhaps_created = True  # by a create whose answer never came
                if not await make_room(self._tools, self._course):
                    return None
            except Unavailable as error:
                self._course.waits_for = error.message
                await self._course.pause(RETRY_SEC)
            except The0Error as error:
                await self._end(Outcome.FAILED, f"it could not be started: {error.message}")
                return None

    async def _until_due(self) -> None:
        course = self._course
        wait = (course.run.due - self._tools.now()).total_seconds()
        until = time.monotonic() + wait
        while not (course.asked or course.given_up) and (left := until - time.monotonic()) > 0:
            await course.pause(left)

    async def _is_over(self) -> bool:
        """Whether it is not to be started any more; its record then says why."""
        course = self._course
        if course.asked:
            await self._end(Outcome.CANCELLED, course.asked)
        elif reason := course.given_up or course.too_late(self._tools.now()):
            await self._end(Outcome.MISSED, reason)
        else:
            return False
        return True

    async def _try(self) -> Container | None:
        if hold := await self._hold():
            raise Unavailable(hold.message)
        async with self._tools.gate.turn(self._course.run.due):
            if await self._is_over():
                return None
            self._course.creating = True
            try:
                return await self._start_now()
            finally:
                self._course.creating = False

    async def _hold(self) -> Hold | None:
        tools = self._tools
        hold = tools.hold()
        if hold or self._course.bot is None:
            return hold
        runtime = self._course.bot.runtime
        if not isinstance(tools.runtimes.get(runtime), Ready):
            await tools.runtimes.look(runtime)
        ready = tools.runtimes.get(runtime)
        return ready if isinstance(ready, Hold) else None

    async def _start_now(self) -> Container | None:
        tools, course = self._tools, self._course
        bot = await tools.current(course.run.bot_id)
        if bot is None or (course.bot and timing(bot) != timing(course.bot)):
            if course.claimed:
                await self._end(Outcome.CANCELLED, "the bot was disabled, deleted or rescheduled")
            return None
        course.bot = bot
        prepared = self._prepare(bot)
        if not await self._own(prepared):
            return None
        container = await self._create(prepared)
        await self._begin(container)
        if prepared.launch.document["state"]["keep"]:
            await tools.ends.choice_used(bot.id)
        return container

    def _prepare(self, bot: BotSchedule) -> Prepared:
        tools = self._tools
        ready = tools.runtimes.get(bot.runtime)
        if isinstance(ready, Hold):
            raise Unavailable(ready.message)
        plan = ready.runtime.processes(bot.entrypoints)
        keep = tools.state_keep(bot.id)
        return tools.launcher.prepare(bot, plan, ready.image, keep, self._course.run.id)

    async def _own(self, prepared: Prepared) -> bool:
        """Have the claim, with a lease that lasts beyond the start; False when others have it."""
        tools, course = self._tools, self._course
        launch = prepared.launch.launch
        if not course.claimed and not await self._claim(launch):
            return False
        safe = time.monotonic() < max(self._held_until, tools.leased())
        if safe and course.run.launch == launch:
            return True
        course.run = replace(course.run, launch=launch, lease_until=self._lease())
        if await tools.repository.hold_run(course.run):
            return True
        await find_why_not_held(tools, course)
        return not course.elsewhere and not await self._is_over()

    async def _claim(self, launch: str) -> bool:
        tools, course, before = self._tools, self._course, time.monotonic()
        # The launch of the first try tells our own insert from another's when it is repeated.
        course.run = replace(
            course.run,
            launch=course.run.launch or launch,
            lease_until=course.run.lease_until or self._lease(),
            claimed=self._tools.now(),
            version=course.bot.version if course.bot else "",
        )
        if not await tools.repository.claim_run(course.run):
            tools.metrics.claims_lost.inc()
            return False
        course.claimed = True
        self._held_until = before + SAFE_SHARE * tools.lease_sec
        self._on_claim()
        return True

    def _lease(self) -> datetime:
        return self._tools.now() + timedelta(seconds=self._tools.lease_sec)

    async def _create(self, prepared: Prepared) -> Container:
        tools, launch = self._tools, prepared.launch
        await tools.files.call(tools.launches.write, launch)
        self._note_lag()
        try:
            container = await tools.engine.call(tools.engine.executor.create, prepared.spec)
        except Unavailable:
            self._perhaps_created = True  # the launch stays until that is known
            raise
        except Conflict:
            await tools.files.call(tools.launches.remove, launch.launch)
            raise Occupied from None
        except The0Error:
            await tools.files.call(tools.launches.remove, launch.launch)
            raise
        self._perhaps_created = True
        await tools.files.call(tools.launches.supersede, launch.bot_id, launch.launch)
        return container

    def _note_lag(self) -> None:
        if not self._lag_noted:
            self._lag_noted = True
            lag = (self._tools.now() - self._course.run.due).total_seconds()
            self._tools.metrics.lag.observe(max(0.0, lag))

    async def _begin(self, container: Container) -> None:
        tools, course = self._tools, self._course
        try:
            await tools.engine.call(tools.engine.executor.start, container.ref)
        except Unavailable:
            raise
        except The0Error:
            await tools.ends.throw_away(container)
            self._perhaps_created = False
            raise
        course.run = replace(course.run, launch=container.launch, started=self._tools.now())
        late = (self._tools.now() - course.run.due).total_seconds()
        slot = course.run.slot.isoformat()
        log.info(
            "bot %r: the run of %s started %.2f s after it was due", course.run.bot_id, slot, late
        )

    async def _find_own(self) -> Container | None:
        """What became of a create or a start without an answer. Raises Unavailable while that
        cannot be known."""
        tools, course = self._tools, self._course
        seen = await tools.engine.look_at(course.run.bot_id)
        if isinstance(seen, Unseen):
            raise Unavailable(tools.engine.fault)
        own = next((one for one in seen if one.run == course.run.id), None)
        if own is not None and own.state is ContainerState.CREATED:
            await tools.ends.throw_away(own)
            own = None
        self._perhaps_created = own is not None
        return own

    async def _end(self, outcome: Outcome, reason: str) -> None:
        await self._course.end_unstarted(self._tools, outcome, reason)


def timing(bot: BotSchedule) -> tuple[str, str]:
    """What decides when a bot's slots are."""
    return bot.schedule.expression, bot.schedule.timezone


async def find_why_not_held(tools: RunTools, course: Course) -> None:
    """After a change of a run that was ours found it changed: asked to end, or another's."""
    stored = await patiently(lambda: tools.repository.get_run(course.run.id))
    if stored and stored.cancel and stored.owner == course.run.owner and not stored.outcome:
        course.asked = course.asked or stored.cancel
    else:
        course.elsewhere = True
    course.news.set()
