"""When a run finds a container of its bot there already: skip, replace, or look again."""

from __future__ import annotations

import logging

from the0.core.plan import Unseen
from the0.core.schedule_course import Course, RunTools
from the0.core.schedule_end import ENDED
from the0.errors import Unavailable
from the0.models import BotType, Concurrency, Container, ContainerState, Outcome, Purpose

RETRY_SEC = 1.0
POLL_SEC = 0.2

log = logging.getLogger(__name__)


async def make_room(tools: RunTools, course: Course) -> bool:
    """Whether to try again; False when the run will not be, and its record says why."""
    try:
        reason = await _settle(tools, course)
    except Unavailable as error:
        course.waits_for = error.message
        await course.pause(RETRY_SEC)
        return True
    if reason:
        await course.end_unstarted(tools, Outcome.SKIPPED, reason)
    return not reason


async def _settle(tools: RunTools, course: Course) -> str:
    """Why the run is to be skipped; empty when it may be tried again."""
    seen = await tools.engine.look_at(course.run.bot_id)
    if isinstance(seen, Unseen):
        raise Unavailable(tools.engine.fault)
    if not seen:
        return await _settle_with_strangers(tools, course)
    other = seen[0]
    if other.run == course.run.id:
        return ""  # a create that was given up ended after all: the next try finds it
    if other.state in ENDED:
        await tools.ends.collect_of_others(other)
    elif await is_over(tools, other):
        await _clear_away(tools, course, other)
    elif course.bot is None or course.bot.schedule.concurrency is Concurrency.FORBID:
        return f"the run {other.run} of the same bot was still going on"
    else:
        course.waits_for = f"the run {other.run} could not be stopped in time"
        await _replace(tools, course, other)
    return ""


async def is_over(tools: RunTools, other: Container) -> bool:
    """Whether its run's end is recorded already: Docker goes on listing a container as running for
    a moment after its death, and a retry or a person may come that soon."""
    run = await tools.repository.get_run(other.run)
    return run is not None and run.outcome is not None


async def _clear_away(tools: RunTools, course: Course, other: Container) -> None:
    """What belongs to a run that is over: one that was only created nobody else comes for."""
    if other.state is ContainerState.CREATED:
        await tools.ends.throw_away(other)
        return
    course.waits_for = f"the container of the run {other.run} could not be removed in time"
    await course.pause(POLL_SEC)


async def _replace(tools: RunTools, course: Course, other: Container) -> None:
    reason = f"replaced by the run of {course.run.slot.isoformat()}"
    await tools.repository.cancel_run(other.run, reason)
    if other.state is ContainerState.CREATED:
        await tools.ends.throw_away(other)
    elif other.state is ContainerState.RUNNING:
        log.info("bot %r: the run %s ends for a newer one", course.run.bot_id, other.run)
        await tools.stopping.stop(other)
    await course.pause(POLL_SEC)


async def _settle_with_strangers(tools: RunTools, course: Course) -> str:
    """The name is taken, but by no scheduled run: by one that is just being removed, or by a
    realtime bot of the same id, whose state this would be."""
    every = await tools.engine.call(tools.engine.executor.list)
    if any(_is_realtime(one, course.run.bot_id) for one in every):
        return f"a realtime bot {course.run.bot_id!r} is there; both would have one state"
    course.waits_for = "a container of its name could not be removed in time"
    await course.pause(POLL_SEC)
    return ""


def _is_realtime(container: Container, bot_id: str) -> bool:
    return (container.purpose, container.type, container.bot_id) == (
        Purpose.BOT,
        BotType.REALTIME,
        bot_id,
    )
