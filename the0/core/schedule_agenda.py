"""Which slot of each bot comes next, and what becomes of those that passed unwatched. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from the0.core.plan import Absence, Wanted
from the0.core.schedule_plan import LATE, MISSED_RECORDED, appointment, catch_up, due_after
from the0.core.schedule_times import INSTANT, NEVER, Appointment, NextAfter, Timers, passed
from the0.errors import InvalidInput
from the0.models import BotSchedule
from the0.plugin.interfaces import Scheduler

MOST_DUE_AT_ONCE = 1000


@dataclass(frozen=True)
class Verdict:
    """About the slots of a bot: `start` those that are due (or caught up with), `missed` those
    that passed unwatched; `next` is the one that is waited for, None for none any more."""

    bot: BotSchedule
    start: Sequence[datetime] = ()
    missed: Sequence[datetime] = ()
    next: datetime | None = None


class Agenda:
    """The slots of all bots. Slots of a bot only ever go forward, whatever the clock does."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._timers = Timers()
        self._bots: dict[str, BotSchedule | None] = {}

    def __len__(self) -> int:
        return len(self._timers)

    def next_slot(self, bot_id: str) -> datetime | None:
        armed = self._timers.get(bot_id)
        return armed.slot if armed else None

    def next_due(self) -> datetime | None:
        """When :meth:`take_due` has something to say."""
        first = self._timers.first()
        return first.due if first else None

    def take_in(self, bot_id: str, wanted: Wanted, now: datetime) -> Verdict | None:
        """A bot as it is wanted now; None when nothing follows for its slots.

        What passed before this bot was seen first is missed or caught up with; what passed while
        it was disabled, or by another schedule, never was a slot.
        """
        if wanted is Absence.UNKNOWN:
            return None
        seen, before = bot_id in self._bots, self._bots.get(bot_id)
        if not isinstance(wanted, BotSchedule) or not wanted.enabled:
            self._forget(bot_id, gone=wanted is Absence.MISSING)
            return Verdict(wanted) if isinstance(wanted, BotSchedule) else None
        self._bots[bot_id] = wanted
        if before is not None and _timing(before) == _timing(wanted):
            self._rearm(wanted)
            return None
        if seen or wanted.planned is None:
            return Verdict(wanted, next=self._arm(wanted, now))
        return self._judge_passed(wanted, wanted.planned, now)

    def take_due(self, now: datetime) -> Verdict | None:
        """The next verdict on a slot that is due, in the order of due times; None for no more."""
        due = self._timers.take(now)
        if due is None:
            return None
        bot = self._bots[due.bot_id]
        assert bot is not None, due
        if now - due.due > LATE:
            return self._judge_passed(bot, due.slot, now)
        return Verdict(bot, start=(due.slot,), next=self._arm(bot, due.slot))

    def _judge_passed(self, bot: BotSchedule, since: datetime, now: datetime) -> Verdict:
        """Of the slots from `since` on those that were due before now; the next one is armed."""
        until = now - due_after(bot)
        slots = passed(self._after(bot), since, until, MISSED_RECORDED) if since <= until else ()
        start = catch_up(bot, slots, now)
        missed = slots[:-1] if start else slots
        # What a plan beyond now stands for is unknown: a clock, or the schedule, was another one.
        armed = self._arm(bot, max(until, min(since - INSTANT, now)))
        return Verdict(bot, (start,) if start else (), missed, armed)

    def _arm(self, bot: BotSchedule, after: datetime) -> datetime | None:
        slot = self._after(bot)(after)
        if slot == NEVER:
            self._timers.remove(bot.id)
            return None
        self._timers.set(appointment(bot, slot))
        return slot

    def _rearm(self, bot: BotSchedule) -> None:
        armed = self._timers.get(bot.id)
        if armed:
            self._timers.set(Appointment(appointment(bot, armed.slot).due, bot.id, armed.slot))

    def _after(self, bot: BotSchedule) -> NextAfter:
        expression, timezone = _timing(bot)

        def next_after(after: datetime) -> datetime:
            try:
                return self._scheduler.next_after(expression, timezone, after)
            except InvalidInput:  # it has fired for the last time
                return NEVER

        return next_after

    def _forget(self, bot_id: str, *, gone: bool) -> None:
        self._timers.remove(bot_id)
        if gone:
            self._bots.pop(bot_id, None)
        else:
            self._bots[bot_id] = None


def _timing(bot: BotSchedule) -> tuple[str, str]:
    return bot.schedule.expression, bot.schedule.timezone
