"""What becomes of slots and runs: decided here, carried out elsewhere. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from the0.core.plan import STATE_CONFLICT
from the0.core.presentation import said
from the0.core.schedule_times import Appointment, jitter, run_id
from the0.core.tracked import DISK, PLATFORM
from the0.errors import InvalidDocument
from the0.launches import LaunchStatus
from the0.models import (
    JSON,
    BotSchedule,
    CatchUp,
    ExitRecord,
    Outcome,
    Run,
    Trigger,
)
from the0.values import to_bson

LATE = timedelta(seconds=5)
"""A timer that comes later than this did not watch: the clock was set, or the machine slept."""

MISSED_RECORDED = 100
"""Most slots of one bot that passed unwatched and get a record each, the newest."""

TIMED_OUT = "timed out"
NOT_BEGUN = "not begun"
"""Why a run is ended by us; a reason in other words was given by whoever asked."""

RETRIED = frozenset({Outcome.FAILED, Outcome.TIMED_OUT})

PREPARING = ("starting", "fetching", "restoring")
NOBODY_THERE = "no scheduler was there when it was due"


@dataclass(frozen=True)
class Scheduler:
    """Who claims runs: its name among the schedulers, and its machine's."""

    owner: str
    host: str


def due_after(bot: BotSchedule) -> timedelta:
    """How long after each of its slots the bot is due."""
    return jitter(bot.id, bot.schedule.jitter_sec)


def due_of(bot: BotSchedule, slot: datetime) -> datetime:
    return slot + due_after(bot)


def appointment(bot: BotSchedule, slot: datetime) -> Appointment:
    return Appointment(due_of(bot, slot), bot.id, slot)


def deadline_of(bot: BotSchedule, due: datetime) -> datetime:
    """When it is too late to start what was due at `due`."""
    return due + timedelta(seconds=bot.schedule.start_deadline_sec)


def catch_up(bot: BotSchedule, slots: Sequence[datetime], now: datetime) -> datetime | None:
    """The one of `slots` (oldest first), which passed unwatched, that is started nevertheless."""
    if not slots or bot.schedule.catch_up is CatchUp.SKIP:
        return None
    newest = slots[-1]
    return newest if now <= deadline_of(bot, due_of(bot, newest)) else None


def new_run(
    bot: BotSchedule, slot: datetime, who: Scheduler, now: datetime, trigger: Trigger
) -> Run:
    """The first attempt at a slot, claimed by `who`. A manual one is due at once, and the only
    one: whoever asked sees how it ends."""
    manual = trigger is Trigger.MANUAL
    due = slot if manual else due_of(bot, slot)
    return Run(
        id=run_id(bot.id, slot, 1),
        bot_id=bot.id,
        slot=slot,
        attempt=1,
        trigger=trigger,
        due=due,
        deadline=deadline_of(bot, due),
        timeout_sec=bot.schedule.timeout_sec,
        retries=0 if manual else bot.schedule.retries,
        claimed=now,
        owner=who.owner,
        lease_until=None,
        host=who.host,
        version=bot.version,
    )


def unstarted(run: Run, outcome: Outcome, reason: str, now: datetime) -> Run:
    """The record of a run that nothing was started for."""
    return replace(run, ended=now, outcome=outcome, reason=reason, lease_until=None)


def next_attempt(run: Run, delay_sec: float) -> Run | None:
    """The attempt that follows one that ended, None when there is to be none."""
    if run.outcome not in RETRIED or run.attempt > run.retries or run.ended is None:
        return None
    due = run.ended + timedelta(seconds=delay_sec)
    return replace(
        run,
        id=run_id(run.bot_id, run.slot, run.attempt + 1),
        attempt=run.attempt + 1,
        trigger=Trigger.RETRY,
        due=due,
        deadline=due + (run.deadline - run.due),
        claimed=run.ended,
        launch="",
        started=None,
        ended=None,
        outcome=None,
        reason="",
        cancel="",
        exit_code=None,
        oom_killed=False,
        peak_memory_bytes=None,
        result=None,
        conditions=(),
        log_tail=(),
    )


def cannot_begin(run: Run, status: LaunchStatus | None, now: datetime) -> bool:
    """Whether a run whose container is there need not be waited for: its agent waits for a person
    (two states conflict), or still for code or state when the run is to have begun."""
    conditions = status.conditions if status else ()
    if any(one.type == STATE_CONFLICT and one.status for one in conditions):
        return True
    preparing = status is None or status.phase in PREPARING
    return preparing and now > run.deadline


@dataclass(frozen=True)
class Ending:
    """What is known of how a container ended: the exit, the agent's last words, the text of
    result.json, and why it was asked to end (empty when it was not)."""

    exit: ExitRecord
    status: LaunchStatus | None
    result: bytes | None
    asked: str
    started: datetime | None


def ended_run(run: Run, ending: Ending) -> Run:
    """The record of a run whose container ended."""
    exit_ = ending.exit
    outcome, reason = _judge(ending)
    succeeded = outcome is Outcome.SUCCEEDED
    return replace(
        run,
        started=ending.started or run.started,
        ended=exit_.at,
        outcome=outcome,
        reason=reason,
        exit_code=exit_.code,
        oom_killed=exit_.oom_killed,
        peak_memory_bytes=exit_.peak_memory_bytes,
        result=_result(ending.result),
        conditions=tuple(said(ending.status, exit_.at)) if ending.status else (),
        log_tail=() if succeeded else tuple(exit_.log_tail),
        lease_until=None,
    )


def lost_run(run: Run, now: datetime) -> Run:
    """The record of a run whose container is gone without a trace."""
    text = "its container is gone, and nobody recorded how it ended"
    return unstarted(run, Outcome.LOST, text, now)


def _judge(ending: Ending) -> tuple[Outcome, str]:
    if ending.asked == TIMED_OUT:
        return Outcome.TIMED_OUT, "it took longer than its timeout_sec"
    if ending.asked == NOT_BEGUN:
        return Outcome.FAILED, _platform_fault(ending.status)
    if ending.asked:
        return Outcome.CANCELLED, ending.asked
    succeeded = ending.exit.code == 0 and ending.exit.reason not in (PLATFORM, DISK)
    return (Outcome.SUCCEEDED, "") if succeeded else (Outcome.FAILED, _fault(ending))


def _fault(ending: Ending) -> str:
    exit_ = ending.exit
    if exit_.oom_killed:
        return "it needed more memory than it may have"
    if exit_.reason == PLATFORM:
        return _platform_fault(ending.status)
    if exit_.reason == DISK:
        return "it used more disk than it may"
    return f"signal {exit_.signal} ended it" if exit_.signal else f"it ended with {exit_.code}"


def _platform_fault(status: LaunchStatus | None) -> str:
    messages = [one.message for one in status.conditions if one.status] if status else []
    return "; ".join(messages) or "the platform could not start it"


def _result(content: bytes | None) -> JSON:
    """result.json as a value; None for none, and for what is no JSON or cannot be kept."""
    if content is None:
        return None
    try:
        value: Any = json.loads(content)
        to_bson({"value": value})
    except (ValueError, RecursionError, InvalidDocument):
        return None
    return value


def failures_in_a_row(newest_first: Sequence[Run]) -> int:
    """How many of the last runs failed, those that never started left out."""
    count = 0
    for run in newest_first:
        if run.outcome is Outcome.SUCCEEDED or run.outcome is Outcome.CANCELLED:
            break
        if run.outcome in (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.LOST):
            count += 1
    return count
