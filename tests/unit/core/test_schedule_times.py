"""Slots, jitter, timers: what is due when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.builtin.cron import CronScheduler
from the0.core.schedule_times import NEVER, Appointment, NextAfter, Timers, jitter, passed, run_id
from the0.plugin.interfaces import PluginArgs

START = datetime(2026, 1, 1, tzinfo=UTC)
CRON = CronScheduler(PluginArgs("test", "", Path("/nowhere")))

moments = st.integers(0, 10**6).map(lambda ms: START + timedelta(milliseconds=ms))


def every(seconds: int) -> NextAfter:
    return lambda after: CRON.next_after(f"@every {seconds}s", "UTC", after)


def test_a_run_is_named_by_bot_slot_and_attempt_alone() -> None:
    first = run_id("a", START, 1)
    assert first == run_id("a", START.astimezone(), 1)
    assert first.isalnum()
    assert len(first) == 32
    others = {run_id("b", START, 1), run_id("a", START, 2), run_id("a", START.replace(second=1), 1)}
    assert len({first, *others}) == 4


@given(st.text(), st.floats(0, 3600))
def test_jitter_is_the_same_for_a_bot_and_within_its_bound(bot_id: str, most: float) -> None:
    found = jitter(bot_id, most).total_seconds()
    assert found == jitter(bot_id, most).total_seconds()
    assert 0 <= found < most or found == most == 0


@given(st.integers(1, 90), st.integers(0, 5000), st.integers(0, 5000), st.integers(1, 20))
def test_the_newest_slots_that_passed(period: int, begin: int, length: int, most: int) -> None:
    since = START + timedelta(seconds=begin)
    now = since + timedelta(seconds=length)
    epoch = since.timestamp()
    expected = [
        datetime.fromtimestamp(second, UTC)
        for second in range(int(epoch), int(epoch) + length + 1)
        if second % period == 0
    ]
    assert list(passed(every(period), since, now, most)) == expected[-most:]


@given(st.sets(st.integers(0, 10**6), max_size=60), st.integers(0, 10**6), st.integers(1, 20))
def test_slots_at_any_distance(seconds: set[int], begin: int, most: int) -> None:
    slots = sorted(START + timedelta(seconds=one) for one in seconds)

    def next_after(after: datetime) -> datetime:
        return next((slot for slot in slots if slot > after), NEVER)

    since, now = START + timedelta(seconds=begin), START + timedelta(seconds=9 * 10**5)
    expected = [slot for slot in slots if since <= slot <= now]
    assert list(passed(next_after, since, now, most)) == expected[-most:]


@pytest.mark.parametrize(
    "expression",
    ["* * * * * *", "0 * * * *", "* * 9 1 3 *", "*/7 * 9-17 * 2 mon#1", "0 0 29 2 *"],
)
def test_years_of_slots_cost_no_more_than_what_is_wanted_of_them(expression: str) -> None:
    asked = 0

    def next_after(after: datetime) -> datetime:
        nonlocal asked
        asked += 1
        return CRON.next_after(expression, "UTC", after)

    passed(next_after, START - timedelta(days=3650), START, 100)
    assert asked < 500


@given(st.lists(st.tuples(moments, st.sampled_from("abcde"), st.booleans())))
def test_timers_give_out_the_newest_appointment_of_each_bot_in_order(
    steps: list[tuple[datetime, str, bool]],
) -> None:
    timers, model = Timers(), {}
    for due, bot_id, keep in steps:
        if keep:
            model[bot_id] = Appointment(due, bot_id, due)
            timers.set(model[bot_id])
        else:
            model.pop(bot_id, None)
            timers.remove(bot_id)
    assert len(timers) == len(model)
    assert timers.first() == min(model.values(), default=None)
    now = START + timedelta(milliseconds=5 * 10**5)
    taken = []
    while appointment := timers.take(now):
        taken.append(appointment)
    assert taken == sorted(one for one in model.values() if one.due <= now)
    assert len(timers) == len(model) - len(taken)


def test_the_heap_does_not_grow_with_what_was_replaced() -> None:
    timers = Timers()
    for number in range(10_000):
        timers.set(Appointment(START + timedelta(seconds=number), "a", START))
    assert len(timers._heap) < 200
    assert timers.first() == Appointment(START + timedelta(seconds=9999), "a", START)
