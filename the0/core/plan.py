"""What to do for one bot: desired state against actual state. Pure.

:func:`decide` looks at one bot as its document wants it, at its containers as the engine shows
them and at what is remembered, and names the one next step. Whoever carries the step out looks
again and asks again, until there is nothing to do. UNKNOWN, on either side, decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum

from the0.core.backoff import Backoff
from the0.core.tracked import CHANGED, DELETED, DISABLED, FLUSH_SPEC, HOST, USER, Tracked
from the0.models import Bot, Container, ContainerState, Phase

STATE_CONFLICT = "StateConflict"

FLUSH_MAX = timedelta(minutes=10)
"""How long storing what a volume holds may take before it is ended and tried again later."""


class Absence(Enum):
    """A bot without a document: certainly none, or none known (no trusted read yet)."""

    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Invalid:
    """A document that cannot be understood, and why; `enabled` where at least that can be."""

    id: str
    message: str
    enabled: bool = True


class Unseen(Enum):
    """The engine gave no answer."""

    UNKNOWN = "unknown"


UNKNOWN = Unseen.UNKNOWN
Wanted = Bot | Invalid | Absence
Seen = Sequence[Container] | Unseen


@dataclass(frozen=True)
class Hold:
    """Why nothing may be started at the moment; becomes a condition of the bots that wait."""

    type: str
    reason: str
    message: str


RUNTIME_MISSING = "RuntimeMissing"
"""The type of the hold for a runtime that no plugin provides."""


@dataclass(frozen=True)
class Circumstances:
    """`hold` keeps this bot from being started, `platform` is the platform hash that a start now
    would have (empty when unknown), `ending` that the host stops all bots with itself."""

    backoff: Backoff
    hold: Hold | None = None
    platform: str = ""
    ending: bool = False


class Do(StrEnum):
    NOTHING = "nothing"
    START = "start"  # a new container
    RESUME = "resume"  # start the container that was created and never started
    STOP = "stop"
    UNPAUSE = "unpause"
    COLLECT = "collect"  # record the exit, then remove the container
    DISCARD = "discard"  # remove a container that never ran
    LOST = "lost"  # record that a container went without a trace
    FLUSH = "flush"  # store what the volume holds
    FORGET = "forget"  # remove volumes and records of a bot that is gone


@dataclass(frozen=True)
class Action:
    """The next step for a bot, its phase meanwhile, and when to ask again (`at`)."""

    do: Do
    phase: Phase
    container: Container | None = None
    asked_by: str = ""
    at: datetime | None = None
    hold: Hold | None = None


_STARTS = frozenset({Do.START, Do.RESUME, Do.FLUSH})
_LIVE = frozenset({ContainerState.RUNNING, ContainerState.PAUSED})
_PASSING = frozenset({ContainerState.UNKNOWN, ContainerState.RESTARTING, ContainerState.REMOVING})
_ENDED = frozenset({ContainerState.EXITED, ContainerState.DEAD})
_NOTHING = Tracked()
_NEVER = datetime.min.replace(tzinfo=UTC)


def is_start(action: Action) -> bool:
    return action.do in _STARTS


def decide(
    wanted: Wanted, seen: Seen, tracked: Tracked, now: datetime, around: Circumstances
) -> Action:
    """The next step for one bot.

    Never a start while anything about the bot's containers is unknown or while any is left, so
    that a bot has at most one; never a stop for want of knowledge.
    """
    if isinstance(seen, Unseen) or any(one.state in _PASSING for one in seen):
        return Action(Do.NOTHING, Phase.UNKNOWN)
    if len(seen) > 1:
        return _surplus(seen)
    if seen:
        return _with_container(wanted, seen[0], tracked, now, around)
    return _without_container(wanted, tracked, now, around)


def keeper(containers: Sequence[Container]) -> Container:
    """The one to keep of several containers of one bot: one that runs, of the newest launch."""
    return max(
        containers,
        key=lambda one: (one.state in _LIVE, one.created_at or _NEVER, one.ref),
    )


def is_outdated(container: Container, platform: str) -> bool:
    """Whether a start now would have another image, other defaults or another agent."""
    return bool(platform) and container.platform_hash != platform


def _surplus(containers: Sequence[Container]) -> Action:
    kept = keeper(containers)
    other = next(one for one in containers if one.ref != kept.ref)
    if other.state in _ENDED:
        return Action(Do.COLLECT, Phase.RUNNING, other)
    if other.state is ContainerState.CREATED:
        return Action(Do.DISCARD, Phase.RUNNING, other)
    if other.state is ContainerState.PAUSED:
        return Action(Do.UNPAUSE, Phase.RUNNING, other)
    return Action(Do.STOP, Phase.RUNNING, other, HOST)


def _with_container(
    wanted: Wanted, container: Container, tracked: Tracked, now: datetime, around: Circumstances
) -> Action:
    if container.state in _ENDED:
        return Action(Do.COLLECT, Phase.STOPPING, container, reason_to_stop(wanted, container))
    if container.state is ContainerState.CREATED:
        return _created(wanted, container, tracked, now, around)
    if wanted is Absence.UNKNOWN and not around.ending:
        return Action(Do.NOTHING, Phase.RUNNING, container)
    if container.state is ContainerState.PAUSED:
        return Action(Do.UNPAUSE, Phase.RUNNING, container)
    asked_by = HOST if around.ending else reason_to_stop(wanted, container)
    if not asked_by and tracked.purge:
        asked_by = DELETED  # made anew before the old one had ended: that one has to go first
    if not asked_by and container.spec_hash == FLUSH_SPEC and _older(container, FLUSH_MAX, now):
        asked_by = HOST
    if not asked_by and tracked.state_keep and tracked.has_condition(STATE_CONFLICT):
        asked_by = USER
    return _stop_or_leave(container, asked_by, around.hold)


def _stop_or_leave(container: Container, asked_by: str, hold: Hold | None) -> Action:
    if not asked_by:
        # Its next start will fail of it, and nothing but a person will mend that.
        lasting = hold if hold and hold.type == RUNTIME_MISSING else None
        return Action(Do.NOTHING, Phase.RUNNING, container, hold=lasting)
    if asked_by == CHANGED and hold:
        # A restart waits as a whole: stopped now, a healthy bot could not be started again.
        return Action(Do.NOTHING, Phase.RUNNING, container, hold=hold)
    return Action(Do.STOP, Phase.STOPPING, container, asked_by)


def _older(container: Container, age: timedelta, now: datetime) -> bool:
    return container.created_at is not None and now - container.created_at > age


def reason_to_stop(wanted: Wanted, container: Container) -> str:
    """Who asks that this container ends: empty when nobody does.

    A document that cannot be understood, or none that is known, is no reason.
    """
    if wanted is Absence.UNKNOWN:
        return ""
    flushing = container.spec_hash == FLUSH_SPEC
    if wanted is Absence.MISSING:
        return "" if flushing else DELETED
    assert not isinstance(wanted, Absence)
    if not wanted.enabled:
        return "" if flushing else DISABLED
    if isinstance(wanted, Invalid):
        return ""
    return CHANGED if container.spec_hash != wanted.spec_hash else ""


def _created(
    wanted: Wanted, container: Container, tracked: Tracked, now: datetime, around: Circumstances
) -> Action:
    """A start that somebody broke off: gone on with if it is what would be started now."""
    if wanted is Absence.UNKNOWN and not around.ending:
        return Action(Do.NOTHING, Phase.UNKNOWN, container)
    fresh = isinstance(wanted, Bot) and container.spec_hash == wanted.spec_hash
    would = _without_container(wanted, tracked, now, around)
    if would.do is Do.START and fresh and not is_outdated(container, around.platform):
        return Action(Do.RESUME, Phase.STARTING, container)
    return Action(Do.DISCARD, would.phase, container)


def _without_container(
    wanted: Wanted, tracked: Tracked, now: datetime, around: Circumstances
) -> Action:
    if wanted is Absence.UNKNOWN or around.ending:
        return Action(Do.NOTHING, Phase.UNKNOWN)
    if tracked.launch is not None:
        return Action(Do.LOST, Phase.STOPPING)
    if wanted is Absence.MISSING or tracked.purge:
        known = tracked != _NOTHING
        gone = Action(Do.FORGET if known else Do.NOTHING, Phase.STOPPING)
        return _flush_or(gone, tracked, now, around)
    assert not isinstance(wanted, Absence)
    if not wanted.enabled:
        return _flush_or(Action(Do.NOTHING, Phase.DISABLED), tracked, now, around)
    if isinstance(wanted, Invalid):
        return Action(Do.NOTHING, Phase.INVALID)
    return _start(wanted, tracked, now, around)


def _start(bot: Bot, tracked: Tracked, now: datetime, around: Circumstances) -> Action:
    if tracked.ended_spec == bot.spec_hash:
        return _flush_or(Action(Do.NOTHING, Phase.ENDED), tracked, now, around)
    if due := tracked.waiting_until(bot.spec_hash, now):
        failed = around.backoff.exhausted(tracked.crashes)
        return Action(Do.NOTHING, Phase.FAILED if failed else Phase.BACKOFF, at=due)
    if around.hold:
        return Action(Do.NOTHING, Phase.PENDING, hold=around.hold)
    return Action(Do.START, Phase.STARTING)


def _flush_or(rest: Action, tracked: Tracked, now: datetime, around: Circumstances) -> Action:
    """What a bot that is not to run left unsaved is stored first, as soon as it can be."""
    if not tracked.unsaved or tracked.purge:
        return rest
    if due := tracked.waiting_until(FLUSH_SPEC, now):
        return Action(Do.NOTHING, rest.phase, at=due)
    if around.hold:
        return Action(Do.NOTHING, rest.phase, hold=around.hold)
    return Action(Do.FLUSH, rest.phase)
