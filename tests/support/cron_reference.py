"""When a cron expression is due, by other means than the platform's: cronsim and plain arithmetic.

cronsim, which shares nothing with croniter, says which wall-clock times match. Which instant that
is follows from one sentence: a local time is due at the first instant at which the clock of the
zone shows it or, where it shows it never, something later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

HOUR = timedelta(hours=1)
Span = tuple[datetime, datetime, timedelta]
"""From, until (UTC) and the offset of the clock between them."""


class Reference:
    """Due times in one zone between two instants."""

    def __init__(self, zone: str, start: datetime, end: datetime) -> None:
        self.zone, self.end = ZoneInfo(zone), end
        self.spans = spans(self.zone, start - 48 * HOUR, end + 48 * HOUR)

    @property
    def turns(self) -> Sequence[datetime]:
        """The instants at which the clock is changed."""
        return [start for start, _, _ in self.spans[1:]]

    def due(self, expression: str, after: datetime) -> Iterator[datetime]:
        """The due times strictly after `after`, in order, up to the end."""
        local, last = after.astimezone(self.zone).replace(tzinfo=None), after
        for match in CronSim(as_cronsim(expression), local):
            instant = self._instant(match)
            if instant >= self.end:
                return
            if instant > last:
                yield instant
                last = instant

    def _instant(self, local: datetime) -> datetime:
        shown = local.replace(tzinfo=UTC)
        later = (span for span in self.spans if shown < span[1] + span[2])
        start, _, offset = next(later, self.spans[-1])
        return max(start, shown - offset)


def spans(zone: ZoneInfo, start: datetime, end: datetime) -> list[Span]:
    """The time between two instants, cut where the clock of `zone` is changed."""
    found: list[Span] = []
    begun = at = start
    while at < end:
        if offset(zone, at + HOUR) != offset(zone, at):
            turn = next(
                at + timedelta(seconds=n)
                for n in range(3601)
                if offset(zone, at + timedelta(seconds=n)) != offset(zone, at)
            )
            found.append((begun, turn, offset(zone, at)))
            begun = turn
        at += HOUR
    return [*found, (begun, end, offset(zone, begun))]


def offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def as_cronsim(expression: str) -> str:
    """`expression` in the dialect of cronsim, which reads some things otherwise.

    To it a day is unrestricted where its field begins with `*`, `*/2` too (Debian's cron); to us
    where it has a `*` (crontab(5), and what the bots were written for). `5/2` in weekdays reaches
    to the 7 that is Sunday again, and `5-5/2` means `5/2`.
    """
    *head, day, month, weekday = re.sub(r"\b(\d+)-\1/\d+", r"\1", expression).split()
    weekday = re.sub(r"(?<![-\d])(\d)/(\d+)", _listed, weekday)
    return " ".join([*head, _days(day, "1-31"), month, _days(weekday, "0-6")])


def _days(field: str, all_days: str) -> str:
    if {"*", "*/1"}.intersection(field.split(",")):
        return "*"
    return field.replace("*", all_days)


def _listed(found: re.Match[str]) -> str:
    return ",".join(str(day) for day in range(int(found[1]) % 7, 7, int(found[2])))
