"""When slots are: the next one, those that passed, and the moment a bot starts. Pure."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from the0.core.backoff import fraction
from the0.models import canonical_hash

NextAfter = Callable[[datetime], datetime]
"""The first slot strictly after a time, both in UTC; NEVER for none any more."""

NEVER = datetime.max.replace(tzinfo=UTC)

Clock = Callable[[], datetime]
"""The wall clock, in UTC. It may be set at any moment, forwards and back."""

RUN_ID_DIGITS = 32
INSTANT = timedelta(microseconds=1)
_LEAST_GAP = timedelta(seconds=1)


def utc_now() -> datetime:
    """The machine's own wall clock."""
    return datetime.now(UTC)


def run_id(bot_id: str, slot: datetime, attempt: int) -> str:
    """What names this attempt at this slot, the same for whoever works it out: 32 hex digits, so
    that exchanges take it as a client order id."""
    moment = slot.astimezone(UTC).isoformat(timespec="milliseconds")
    return canonical_hash([bot_id, moment, attempt])[:RUN_ID_DIGITS]


def jitter(bot_id: str, jitter_sec: float) -> timedelta:
    """How long after its slots a bot starts: less than `jitter_sec`, and always the same."""
    return timedelta(milliseconds=int(fraction(f"jitter\0{bot_id}") * jitter_sec * 1000))


def passed(next_after: NextAfter, since: datetime, now: datetime, most: int) -> Sequence[datetime]:
    """The newest `most` slots from `since` to `now` (both included), oldest first.

    Looks for one after the other, backwards, so that it costs little how long ago `since` is, and
    how many slots there were.
    """
    found: deque[datetime] = deque()
    before, gap = now + INSTANT, _LEAST_GAP
    while len(found) < most and (slot := _last(next_after, since, before, gap)):
        found.appendleft(slot)
        before, gap = slot, max(before - slot, _LEAST_GAP)
    return tuple(found)


def _last(
    next_after: NextAfter, since: datetime, before: datetime, gap: timedelta
) -> datetime | None:
    """The last slot from `since` on and before `before`: first sought `gap` earlier, where the
    one before it suggests it, then ever farther back."""
    while before > since:
        gap = min(gap, before - since)
        slot = next_after(before - gap - INSTANT)
        if slot < before:
            return _newest(next_after, slot, before)
        if gap == before - since:
            break
        gap *= 2
    return None


def _newest(next_after: NextAfter, slot: datetime, before: datetime) -> datetime:
    """The last slot before `before`; `slot` is one."""
    while (following := next_after(slot)) < before:
        middle = following + (before - following) / 2
        later = next_after(middle)
        slot, before = (later, before) if later < before else (following, middle + INSTANT)
    return slot


@dataclass(frozen=True, order=True)
class Appointment:
    """`due` is when the bot's `slot` is to be started."""

    due: datetime
    bot_id: str
    slot: datetime


class Timers:
    """The next appointment of each bot, given out in the order of their due times."""

    def __init__(self) -> None:
        self._heap: list[tuple[Appointment, int]] = []
        self._valid: dict[str, tuple[Appointment, int]] = {}
        self._count = itertools.count()

    def __len__(self) -> int:
        return len(self._valid)

    def set(self, appointment: Appointment) -> None:
        """Replace the bot's appointment."""
        entry = (appointment, next(self._count))
        self._valid[appointment.bot_id] = entry
        heapq.heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self._valid) + 64:
            self._heap = sorted(self._valid.values())

    def get(self, bot_id: str) -> Appointment | None:
        entry = self._valid.get(bot_id)
        return entry[0] if entry else None

    def remove(self, bot_id: str) -> None:
        self._valid.pop(bot_id, None)

    def first(self) -> Appointment | None:
        """The earliest of all."""
        while self._heap:
            entry = self._heap[0]
            if self._valid.get(entry[0].bot_id) == entry:
                return entry[0]
            heapq.heappop(self._heap)
        return None

    def take(self, now: datetime) -> Appointment | None:
        """The earliest one that is due, which is then no more; None when none is."""
        first = self.first()
        if first is None or first.due > now:
            return None
        heapq.heappop(self._heap)
        del self._valid[first.bot_id]
        return first
