"""Cron expressions on the wall clock of a time zone.

What they may say is in :mod:`the0.builtin.cron_fields`; the dates are croniter's. A local time
that a time zone skips is due once, right after the gap; one that comes twice is due the first
time only. `@every` counts from 1970 in UTC, so that all hosts agree on its times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter

from the0.builtin.cron_fields import EVERY, MAX_CHARACTERS, alternatives
from the0.errors import InvalidInput
from the0.plugin import Scheduler, hookimpl
from the0.settings import seconds

MIN_EVERY_SEC = 1
MAX_EVERY_SEC = 366 * 86400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class CronScheduler(Scheduler):
    """Cron on croniter."""

    name = "cron"

    def validate(self, expression: str, timezone: str) -> None:
        self.next_after(expression, timezone, datetime.now(UTC))

    def next_after(self, expression: str, timezone: str, after: datetime) -> datetime:
        zone = _zone(timezone)
        text = expression.strip()
        if len(text) > MAX_CHARACTERS:
            raise InvalidInput(
                f"A schedule has at most {MAX_CHARACTERS:,} characters, not {len(text):,}."
            )
        after = after.astimezone(UTC)
        if text.lower().split()[:1] == [EVERY]:
            return _next_multiple(_every(text), after)
        return _next_fire(_next_local(text, alternatives(text)), zone, after)


@hookimpl
def the0_register_scheduler() -> type[Scheduler]:
    return CronScheduler


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InvalidInput(
            f"There is no time zone {name!r}; give an IANA name like Europe/Berlin or UTC."
        ) from None


def _every(text: str) -> int:
    """The whole seconds of `@every <duration>`."""
    try:
        duration = round(seconds(text[len(EVERY) :].strip()), 6)
    except ValueError:
        duration = -1.0
    if not MIN_EVERY_SEC <= duration <= MAX_EVERY_SEC or duration % 1:
        raise InvalidInput(
            f"{text!r} is no schedule: {EVERY} takes whole seconds from 1s to 366d, like "
            f"{EVERY} 90s or {EVERY} 5m."
        )
    return int(duration)


def _next_multiple(every: int, after: datetime) -> datetime:
    periods = (after - _EPOCH) // timedelta(seconds=every)
    return _EPOCH + timedelta(seconds=every * (periods + 1))


def _next_local(expression: str, crons: Sequence[str]) -> Callable[[datetime], datetime]:
    """The first wall-clock time after another one, both naive, that one of `crons` matches."""

    def following(local: datetime) -> datetime:
        found = [due for due in (_following(cron, local) for cron in crons) if due]
        if not found:
            raise InvalidInput(f"The schedule {expression!r} never fires.")
        return min(found)

    return following


def _following(cron: str, local: datetime) -> datetime | None:
    try:
        times: Any = croniter(cron, local.replace(tzinfo=UTC), second_at_beginning=True)
        found: datetime = times.get_next(datetime)
    except CroniterBadDateError:
        return None
    return found.replace(tzinfo=None)


def _next_fire(
    following: Callable[[datetime], datetime], zone: ZoneInfo, after: datetime
) -> datetime:
    local = after.astimezone(zone).replace(tzinfo=None, fold=0)
    while True:
        local = following(local)
        fire = _to_utc(local, zone)
        if fire > after:
            return fire
        # Due in the first pass through an hour that comes twice: go on where the second one ends.
        local = _end_of_overlap(local, zone) - timedelta(seconds=1)


def _to_utc(local: datetime, zone: ZoneInfo) -> datetime:
    """When the wall clock of `zone` shows `local`: the first time if it does twice, right after
    the gap if it never does."""
    fire = local.replace(tzinfo=zone).astimezone(UTC)
    if fire.astimezone(zone).replace(tzinfo=None, fold=0) == local:
        return fire
    return _transition(local.replace(tzinfo=zone, fold=1), local.replace(tzinfo=zone, fold=0))


def _end_of_overlap(local: datetime, zone: ZoneInfo) -> datetime:
    """The first wall-clock time after `local` that comes only once."""
    first = local.replace(tzinfo=zone, fold=0)
    turn = _transition(first, local.replace(tzinfo=zone, fold=1))
    return (turn + (first.utcoffset() or timedelta())).replace(tzinfo=None)


def _transition(before: datetime, after: datetime) -> datetime:
    """When, in UTC and to the second, the clock changes between two times of one zone."""
    zone, new_offset = after.tzinfo, after.astimezone(UTC).astimezone(after.tzinfo).utcoffset()
    early, late = before.astimezone(UTC), after.astimezone(UTC)
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) // timedelta(seconds=2) * timedelta(seconds=1)
        if middle.astimezone(zone).utcoffset() == new_offset:
            late = middle
        else:
            early = middle
    return late
