"""Cron expressions, read on the wall clock of a time zone.

Five fields, or six with seconds first; names, ranges, steps, `L` and `#`; descriptors from
`@hourly` to `@every 90s`. A local time that a time zone skips is due once, right after the gap; one
that comes twice is due the first time only. `@every` counts from 1970 in UTC, so that all hosts
agree on its times.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, CroniterError, croniter

from the0.errors import InvalidInput
from the0.plugin import Scheduler, hookimpl
from the0.settings import seconds

DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MIN_EVERY_SEC = 1
MAX_EVERY_SEC = 366 * 86400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat"
_FIELD = re.compile(rf"(?:[\d*?/,#LW-]|{_NAMES})+", re.IGNORECASE)
_LAST_WEEKDAY = re.compile(r"\b([0-7]|sun|mon|tue|wed|thu|fri|sat)L\b", re.IGNORECASE)


class CronScheduler(Scheduler):
    """Cron on croniter."""

    name = "cron"

    def validate(self, expression: str, timezone: str) -> None:
        self.next_after(expression, timezone, datetime.now(UTC))

    def next_after(self, expression: str, timezone: str, after: datetime) -> datetime:
        zone = _zone(timezone)
        text = expression.strip()
        after = after.astimezone(UTC)
        if text.lower().startswith("@every"):
            return _next_multiple(_every(text), after)
        return _next_fire(_next_local(expression, _fields(text)), zone, after)


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
        duration = seconds(text[len("@every") :].strip())
    except ValueError:
        duration = -1.0
    if not MIN_EVERY_SEC <= duration <= MAX_EVERY_SEC:
        raise InvalidInput(
            f"{text!r} is no schedule: @every takes a duration from 1s to 366d, like @every 5m."
        )
    return round(duration)


def _next_multiple(every: int, after: datetime) -> datetime:
    periods = (after - _EPOCH) // timedelta(seconds=every)
    return _EPOCH + timedelta(seconds=every * (periods + 1))


def _fields(text: str) -> str:
    """The expression in croniter's own dialect."""
    if text.startswith("@"):
        try:
            return DESCRIPTORS[text.lower()]
        except KeyError:
            known = ", ".join([*DESCRIPTORS, "@every <duration>"])
            raise InvalidInput(f"{text!r} is no schedule; there are {known}.") from None
    fields = text.split()
    if len(fields) not in (5, 6):
        raise InvalidInput(
            f"{text!r} is no schedule: it has {len(fields)} fields, not five (minute hour day "
            "month weekday) or six (second first)."
        )
    for field in fields:
        if not _FIELD.fullmatch(field):
            raise InvalidInput(f"{text!r} is no schedule: {field!r} cannot be understood.")
    return " ".join([*fields[:-1], _LAST_WEEKDAY.sub(r"L\1", fields[-1])])


def _next_local(expression: str, fields: str) -> Callable[[datetime], datetime]:
    """The first matching wall-clock time after another one, both naive."""

    def following(local: datetime) -> datetime:
        try:
            cron: Any = croniter(fields, local.replace(tzinfo=UTC), second_at_beginning=True)
            found: datetime = cron.get_next(datetime)
        except CroniterBadDateError:
            raise InvalidInput(f"The schedule {expression!r} never fires.") from None
        except (CroniterError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise InvalidInput(f"{expression!r} is no schedule: {error}") from None
        return found.replace(tzinfo=None)

    return following


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
