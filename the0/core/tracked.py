"""What the runner remembers of a bot beyond its document and its container. Pure.

It is kept in MongoDB, so that restarts, crashes, exits and conditions outlive the host.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from the0.core.backoff import Backoff
from the0.models import Bot, Condition, ExitRecord, RestartPolicy

DISABLED, DELETED, CHANGED, USER = "disabled", "deleted", "changed", "user"
HOST, ENGINE_RESTART, DISK = "host", "engine-restart", "disk"
"""Who asked for an exit, beside `""` for nobody."""

UNCOUNTED = frozenset({DISABLED, DELETED, CHANGED, USER, HOST, ENGINE_RESTART})
PLATFORM = "platform"
KILLED, STOPPED, LOST = "killed", "stopped", "lost"

FLUSH_SPEC = "flush"
"""The spec label of a container that only stores what a bot's volume holds."""

TAILS_KEPT = 3

START_FAILED = "StartFailed"
"""A condition of the runner's own: the engine refused to start the container."""


@dataclass(frozen=True)
class Tracked:
    """`launch` is the launch that runs now or ran last and has no exit record yet; `attempt_spec`
    the spec that `crashes` and `next_attempt_at` belong to; `ended_spec` the one whose restart
    policy asks for no more; `unsaved` tells that the bot's volume may hold state that the store
    has not; `state_keep` a person's answer to a StateConflict; `purge` that the stored state goes
    with the bot."""

    launch: str | None = None
    launched: bool = False
    restarts: int = 0
    crashes: int = 0
    next_attempt_at: datetime | None = None
    attempt_spec: str = ""
    ended_spec: str = ""
    unsaved: bool = False
    state_keep: str | None = None
    purge: bool = False
    runtime: str = ""
    name: str = ""
    conditions: Sequence[Condition] = ()
    exits: Sequence[ExitRecord] = ()

    @property
    def last_exit(self) -> ExitRecord | None:
        return self.exits[-1] if self.exits else None

    def has_condition(self, kind: str) -> bool:
        return any(one.type == kind and one.status for one in self.conditions)

    def waiting_until(self, spec: str, now: datetime) -> datetime | None:
        """When the next attempt at this spec is due, None when it may be made now."""
        due = self.next_attempt_at if self.attempt_spec == spec else None
        return due if due and due > now else None


@dataclass(frozen=True)
class Outage:
    """A while without an answer of an engine that ends its containers when it restarts."""

    gone_at: datetime
    back_at: datetime

    @property
    def witnessed(self) -> bool:
        """Whether it happened before our eyes, with exits perhaps counted already."""
        return self.gone_at > _NEVER

    def explains(self, record: ExitRecord) -> bool:
        """Whether this exit is the engine's doing: ended from outside, about then, unasked."""
        ended_from_outside = record.reason in {KILLED, STOPPED, LOST} and not record.oom_killed
        begin = self.gone_at - _SHUTDOWN if self.witnessed else _NEVER
        end = self.back_at + _SETTLING if self.witnessed else self.back_at
        about_then = begin <= record.at <= end
        return not record.asked_by and ended_from_outside and about_then


_NEVER = datetime.min.replace(tzinfo=UTC)
_SHUTDOWN = timedelta(seconds=90)
_SETTLING = timedelta(seconds=2)


def before_first_look(now: datetime) -> Outage:
    """The time before this host looked at the engine first: whatever ended a bot from outside
    then (a reboot, mostly) is nothing to count against the bot."""
    return Outage(_NEVER, now)


def after_start(tracked: Tracked, bot: Bot, launch: str) -> Tracked:
    """A container of `bot` was started as `launch`."""
    return replace(
        tracked,
        launch=launch,
        launched=True,
        restarts=tracked.restarts + (1 if tracked.launched else 0),
        next_attempt_at=None,
        ended_spec="",
        unsaved=True,
        state_keep=None,
        purge=False,
        runtime=bot.runtime,
        name=bot.name,
        conditions=without(tracked.conditions, START_FAILED),
    )


def after_failed_start(
    tracked: Tracked, bot: Bot, message: str, backoff: Backoff, now: datetime
) -> Tracked:
    """The engine refused the container: as a crash for the backoff, and a condition."""
    counted = _counted(tracked, Attempt(bot.id, bot.spec_hash, now), backoff)
    failed = Condition(START_FAILED, "EngineRefused", message, now)
    return replace(counted, launch=None, conditions=merged(tracked.conditions, [failed]))


@dataclass(frozen=True)
class Attempt:
    """One container of `bot_id` that ended: what was started (`spec`), when it ended, and for how
    long it ran."""

    bot_id: str
    spec: str
    ended_at: datetime
    ran_sec: float = 0.0


def after_exit(
    tracked: Tracked, attempt: Attempt, record: ExitRecord, backoff: Backoff, keep: int
) -> Tracked:
    """The exit that `record` tells of: counted as a crash unless somebody asked for it. Keeps the
    newest `keep` records, of which only the last few have their log lines."""
    split = max(0, len(tracked.exits) + 1 - TAILS_KEPT)
    older = (replace(one, log_tail=()) for one in tracked.exits[:split])
    exits = (*older, *tracked.exits[split:], record)[-keep:]
    recorded = replace(tracked, launch=None, exits=exits)
    if record.asked_by in UNCOUNTED:
        return replace(recorded, next_attempt_at=None)
    return _counted(recorded, attempt, backoff)


def after_flush(tracked: Tracked, attempt: Attempt, saved: bool, backoff: Backoff) -> Tracked:
    """A container that only stored the volume's content ended: tried again later if in vain."""
    if saved:
        return replace(tracked, launch=None, unsaved=False, next_attempt_at=None, crashes=0)
    return _counted(replace(tracked, launch=None), attempt, backoff)


def ended_by_policy(bot: Bot, record: ExitRecord) -> bool:
    """Whether the bot's restart policy asks for no other attempt after this exit."""
    if record.asked_by in UNCOUNTED or record.reason == PLATFORM:
        return False
    if bot.restart is RestartPolicy.ON_FAILURE:
        return record.code == 0
    return bot.restart is RestartPolicy.NEVER


def after_disabled(tracked: Tracked) -> Tracked:
    """A person took the bot out: what it did before says nothing about its next start."""
    if not tracked.attempt_spec and not tracked.ended_spec:
        return tracked
    if tracked.attempt_spec == FLUSH_SPEC:
        return replace(tracked, ended_spec="")
    return replace(tracked, crashes=0, next_attempt_at=None, attempt_spec="", ended_spec="")


def after_healthy_while(tracked: Tracked, ran_sec: float, backoff: Backoff) -> Tracked:
    """Past crashes count no more once the bot has run long enough."""
    if tracked.crashes and ran_sec >= backoff.healthy_after:
        return replace(tracked, crashes=0, attempt_spec="")
    return tracked


def after_outage(tracked: Tracked, outage: Outage) -> Tracked:
    """Take back the counting of a last exit that the engine's restart explains."""
    last = tracked.last_exit
    if last is None or not outage.explains(last):
        return tracked
    exits = (*tracked.exits[:-1], replace(last, asked_by=ENGINE_RESTART))
    return replace(
        tracked,
        exits=exits,
        crashes=max(0, tracked.crashes - 1),
        next_attempt_at=None,
        ended_spec="",
    )


def merged(old: Iterable[Condition], new: Iterable[Condition]) -> tuple[Condition, ...]:
    """`old` with the conditions of `new` in place of those of their type; a condition that only
    repeats itself keeps the time since when it holds."""
    found = {one.type: one for one in old}
    for one in new:
        before = found.get(one.type)
        same = before and (before.reason, before.status) == (one.reason, one.status)
        found[one.type] = replace(one, since=before.since) if before and same else one
    return tuple(one for one in found.values() if one.status)


def without(conditions: Iterable[Condition], *types: str) -> tuple[Condition, ...]:
    return tuple(one for one in conditions if one.type not in types)


def _counted(tracked: Tracked, attempt: Attempt, backoff: Backoff) -> Tracked:
    before = tracked.crashes if tracked.attempt_spec == attempt.spec else 0
    crashes = backoff.crashes_after(before, attempt.ran_sec)
    delay = timedelta(seconds=backoff.delay(attempt.bot_id, crashes))
    return replace(
        tracked,
        crashes=crashes,
        attempt_spec=attempt.spec,
        next_attempt_at=attempt.ended_at + delay,
    )
