"""Which slots a bot has, whatever happens to its document, the clock and the scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.schedule_samples import bot
from the0.builtin.cron import CronScheduler
from the0.core.plan import Absence, Invalid
from the0.core.schedule_agenda import Agenda, Verdict
from the0.core.schedule_plan import due_of
from the0.errors import InvalidInput
from the0.models import CatchUp
from the0.plugin.interfaces import PluginArgs

NOW = datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC)
CRON = CronScheduler(PluginArgs("test", "", Path("/nowhere")))


def minute(number: int) -> datetime:
    return datetime(2026, 6, 1, 12, number, tzinfo=UTC)


def take_all(agenda: Agenda, now: datetime) -> Sequence[Verdict]:
    found = []
    while verdict := agenda.take_due(now):
        found.append(verdict)
    return found


def test_a_new_schedule_has_no_past() -> None:
    agenda = Agenda(CRON)
    assert agenda.take_in("a", bot(), NOW) == Verdict(bot(), next=minute(1))
    assert agenda.next_due() == minute(1)
    assert not take_all(agenda, NOW)


def test_a_slot_that_is_due_is_started_and_the_next_one_armed() -> None:
    agenda = Agenda(CRON)
    agenda.take_in("a", bot(), NOW)
    assert take_all(agenda, minute(1)) == [Verdict(bot(), (minute(1),), (), minute(2))]


def test_slots_that_passed_before_it_was_there_are_missed_by_default() -> None:
    planned = bot(planned=minute(0) - timedelta(minutes=2))
    verdict = Agenda(CRON).take_in("a", planned, NOW)
    expected = [minute(0) - timedelta(minutes=n) for n in (2, 1, 0)]
    assert verdict == Verdict(planned, (), tuple(expected), minute(1))


def test_the_newest_is_caught_up_with_where_that_is_wanted_and_not_too_late() -> None:
    once = bot(planned=minute(0) - timedelta(minutes=2), catch_up=CatchUp.ONCE)
    verdict = Agenda(CRON).take_in("a", once, NOW)
    assert verdict is not None
    assert verdict.start == (minute(0),)
    assert len(verdict.missed) == 2
    late = bot(planned=minute(0), catch_up=CatchUp.ONCE, start_deadline_sec=29.0)
    verdict = Agenda(CRON).take_in("a", late, NOW)
    assert verdict is not None
    assert (verdict.start, verdict.missed) == ((), (minute(0),))


def test_a_schedule_that_has_fired_for_the_last_time_misses_it_and_is_armed_no_more() -> None:
    class Once(CronScheduler):
        def next_after(self, expression: str, timezone: str, after: datetime) -> datetime:
            if after < minute(0):
                return minute(0)
            raise InvalidInput("never again")

    planned = bot(planned=minute(0))
    agenda = Agenda(Once(PluginArgs("test", "", Path("/nowhere"))))
    assert agenda.take_in("a", planned, NOW) == Verdict(planned, (), (minute(0),))
    assert len(agenda) == 0


def test_what_passed_while_it_was_disabled_never_was_a_slot() -> None:
    agenda = Agenda(CRON)
    off = replace(bot(planned=minute(0)), enabled=False)
    assert agenda.take_in("a", off, NOW) == Verdict(off)
    assert not take_all(agenda, minute(5))
    again = bot(planned=minute(0), catch_up=CatchUp.ONCE)
    assert agenda.take_in("a", again, minute(5)) == Verdict(again, next=minute(6))


def test_another_schedule_begins_now() -> None:
    agenda = Agenda(CRON)
    agenda.take_in("a", bot(), NOW)
    hourly = bot(expression="@hourly", planned=minute(0))
    assert agenda.take_in("a", hourly, minute(3)) == Verdict(
        hourly, next=minute(0) + timedelta(hours=1)
    )


def test_another_config_keeps_the_slot() -> None:
    agenda = Agenda(CRON)
    agenda.take_in("a", bot(), NOW)
    assert agenda.take_in("a", bot(timeout_sec=7.0), NOW) is None
    (verdict,) = take_all(agenda, minute(1))
    assert verdict.bot.schedule.timeout_sec == 7.0


def test_a_bot_that_is_gone_invalid_or_doubted() -> None:
    agenda = Agenda(CRON)
    agenda.take_in("a", bot(), NOW)
    assert agenda.take_in("a", Absence.UNKNOWN, NOW) is None
    assert len(agenda) == 1
    assert agenda.take_in("a", Invalid("a", "because"), NOW) is None
    assert len(agenda) == 0
    agenda.take_in("a", bot(), NOW)
    assert agenda.take_in("a", Absence.MISSING, NOW) is None
    assert agenda.next_due() is None


def test_a_clock_that_jumps_an_hour_ahead_leaves_missed_slots() -> None:
    agenda = Agenda(CRON)
    agenda.take_in("a", bot(), NOW)
    (verdict,) = take_all(agenda, NOW + timedelta(hours=1))
    assert verdict.start == ()
    assert len(verdict.missed) == 60
    assert verdict.next == minute(1) + timedelta(hours=1)


def test_a_clock_that_jumps_an_hour_back_repeats_no_slot() -> None:
    agenda = Agenda(CRON)
    agenda.take_in("a", bot(), NOW)
    take_all(agenda, minute(1))
    assert not take_all(agenda, NOW - timedelta(hours=1))
    assert agenda.next_slot("a") == minute(2)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.floats(0.1, 200)),
        st.tuples(st.just("step"), st.floats(-4000, 4000)),
        st.tuples(st.just("timeout"), st.floats(1, 100)),
        st.tuples(st.just("jitter"), st.floats(0, 120)),
    ),
    max_size=30,
)


@given(STEPS, st.sampled_from(CatchUp))
def test_no_slot_is_given_out_twice_and_none_is_left_out(steps: Any, catch_up: CatchUp) -> None:
    agenda, now, wanted = Agenda(CRON), NOW, bot(catch_up=catch_up)
    agenda.take_in("a", wanted, now)
    slots: list[datetime] = []
    for what, amount in steps:
        if what in ("pass", "step"):
            now += timedelta(seconds=amount)
        else:
            field = {"timeout": "timeout_sec", "jitter": "jitter_sec"}[what]
            wanted = replace(wanted, schedule=replace(wanted.schedule, **{field: amount}))
            agenda.take_in("a", wanted, now)
        for verdict in take_all(agenda, now):
            slots += [*verdict.missed, *verdict.start]
    assert slots == sorted(set(slots))
    if slots:
        assert slots == [minute(1) + timedelta(minutes=n) for n in range(len(slots))]


RESTARTS = st.lists(st.tuples(st.booleans(), st.floats(0.1, 200)), max_size=30)


@given(RESTARTS, st.floats(0, 300), st.sampled_from(CatchUp))
def test_restarts_leave_out_no_slot_and_take_none_before_it_is_due(
    steps: Any, jitter_sec: float, catch_up: CatchUp
) -> None:
    agenda, now, wanted = Agenda(CRON), NOW, bot(catch_up=catch_up, jitter_sec=jitter_sec)
    agenda.take_in("a", wanted, now)
    slots: list[datetime] = []
    for restarted, seconds in steps:
        before, now = now, now + timedelta(seconds=seconds)
        verdicts = []
        if restarted:
            planned, agenda = agenda.next_slot("a"), Agenda(CRON)
            verdicts.append(agenda.take_in("a", replace(wanted, planned=planned), now))
        for verdict in (*verdicts, *take_all(agenda, now)):
            assert verdict is not None
            given_out = [*verdict.missed, *verdict.start]
            assert all(before < due_of(wanted, slot) <= now for slot in given_out)
            slots += given_out
    assert slots == [minute(1) + timedelta(minutes=n) for n in range(len(slots))]


def test_a_restart_between_a_slot_and_its_jitter_keeps_the_slot() -> None:
    late = bot(planned=minute(0), expression="@hourly", jitter_sec=3600.0)
    agenda = Agenda(CRON)
    assert agenda.take_in("a", late, NOW) == Verdict(late, next=minute(0))
    assert agenda.next_due() == due_of(late, minute(0))
