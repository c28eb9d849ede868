from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from the0.builtin.cron import CronScheduler, the0_register_scheduler
from the0.errors import InvalidInput
from the0.plugin import PluginArgs, Scheduler
from the0.testing.scheduler import ZONES, SchedulerConformance

CRON = CronScheduler(PluginArgs("test", "", Path("/nowhere")))
NEW_YORK = "America/New_York"


class TestCron(SchedulerConformance):
    valid = (
        "*/5 * * * *",
        "0 9 * * 1-5",
        "30 0 9 * * mon-fri",
        "15,45 8-18/2 1,L jan-jun *",
        "0 0 L * *",
        "0 12 * * fri#2",
        "0 12 * * 5L",
        "0 12 ? * L5",
        "0 12 * * friL,mon#1,wed",
        "0 0 1 1 1#5",
        "0 0 29 2 1#1",
        "30 2 * * *",
        "*/10 * * * * *",
        "@hourly",
        "@DAILY",
        "@weekly",
        "@monthly",
        "@yearly",
        "@every 90s",
        "@every 1h30m",
    )
    invalid = (
        "",
        "* * * *",
        "* * * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * * 13 *",
        "* * * * 8",
        "* * 15W * *",
        "* * LW * *",
        "* * L-3 * *",
        "* * * * L",
        "* * * * mon-fri#1",
        "* * * * *#1",
        "*-5 * * * *",
        "1-2-3 * * * *",
        "? * * * *",
        "* * monday * *",
        "0 0 0 * *",
        "0 0 30 2 *",
        "0 0 31 4,6,9,11 *",
        "*/0 * * * *",
        "1,,2 * * * *",
        "H * * * *",
        "R * * * *",
        "jan * * * *",
        "0 0 * * 1#9",
        "@fortnightly",
        "@every",
        "@every5m",
        "@every 1.5s",
        "@every 1000d",
        "@every 0s",
        "@every -5m",
        "@every soon",
        "; rm -rf /",
    )

    @pytest.fixture
    def scheduler(self) -> Scheduler:
        return CRON


def fires(expression: str, zone: str, start: str, count: int) -> list[str]:
    """The next due times as the wall clock of `zone` shows them."""
    due, found = datetime.fromisoformat(start), []
    for _ in range(count):
        due = CRON.next_after(expression, zone, due)
        found.append(due.astimezone(ZoneInfo(zone)).isoformat())
    return found


def test_it_is_registered_as_any_plugin() -> None:
    assert the0_register_scheduler() is CronScheduler


def test_six_fields_begin_with_seconds() -> None:
    assert fires("30 15 9 * * *", "UTC", "2026-01-01T00:00:00Z", 1) == ["2026-01-01T09:15:30+00:00"]


@pytest.mark.parametrize(
    ("expression", "same"),
    [
        ("0 9-9 * * *", "0 9 * * *"),  # to croniter itself: every hour
        ("59/15 * * * *", "59 * * * *"),
        ("5/20 * * * *", "5,25,45 * * * *"),
        ("0 22-2/2 * * *", "0 0,2,22 * * *"),
        ("0 0 28-3 * *", "0 0 1,2,3,28,29,30,31 * *"),
        ("0 0 * nov-feb *", "0 0 * 1,2,11,12 *"),
        ("0 0 * * fri-mon", "0 0 * * 0,1,5,6"),
        ("0 0 * * 0-7", "0 0 * * *"),
        ("0 0 * * 7-7", "0 0 * * sun"),
        ("0 0 * * 5-7", "0 0 * * fri,sat,sun"),
        ("0 0 * * MON#1,7l", "0 0 * * 1#1,L0"),
        ("0 0 */1 * 1", "0 0 * * 1"),
        ("0 0 ? * 1", "0 0 * * 1"),
        ("0 0 *,5 * 1", "0 0 * * 1"),
        ("*/90 * * * *", "0 * * * *"),
    ],
)
def test_two_ways_to_say_the_same(expression: str, same: str) -> None:
    start = "2026-01-01T00:00:00Z"
    assert fires(expression, "UTC", start, 40) == fires(same, "UTC", start, 40)


def test_with_both_days_restricted_a_date_is_due_that_fits_either() -> None:
    assert [day[:10] for day in fires("0 0 30 2 mon#5", "UTC", "2026-01-01T00:00:00Z", 1)] == [
        "2044-02-29"
    ]
    assert [day[:10] for day in fires("0 0 1,L * tue#1", "UTC", "2026-01-01T00:00:00Z", 5)] == [
        "2026-01-06",
        "2026-01-31",
        "2026-02-01",
        "2026-02-03",
        "2026-02-28",
    ]


def test_a_local_time_that_does_not_exist_is_due_once_after_the_gap() -> None:
    assert fires("30 2 * * *", NEW_YORK, "2026-03-07T12:00:00Z", 2) == [
        "2026-03-08T03:00:00-04:00",
        "2026-03-09T02:30:00-04:00",
    ]
    assert fires("*/30 * * * *", NEW_YORK, "2026-03-08T06:10:00Z", 3) == [
        "2026-03-08T01:30:00-05:00",
        "2026-03-08T03:00:00-04:00",
        "2026-03-08T03:30:00-04:00",
    ]


def test_a_local_time_that_comes_twice_is_due_once() -> None:
    assert fires("30 1 * * *", NEW_YORK, "2026-10-31T12:00:00Z", 2) == [
        "2026-11-01T01:30:00-04:00",
        "2026-11-02T01:30:00-05:00",
    ]
    assert fires("*/20 * * * * *", NEW_YORK, "2026-11-01T05:59:30Z", 2) == [
        "2026-11-01T01:59:40-04:00",
        "2026-11-01T02:00:00-05:00",
    ]


def test_a_gap_of_half_an_hour_and_of_a_whole_day() -> None:
    assert fires("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", 1) == [
        "2026-10-04T02:30:00+11:00"
    ]
    assert fires("0 12 * * *", "Pacific/Apia", "2011-12-29T22:30:00Z", 2) == [
        "2011-12-31T00:00:00+14:00",
        "2011-12-31T12:00:00+14:00",
    ]


def test_every_has_the_same_times_on_all_hosts() -> None:
    first = fires("@every 7m", NEW_YORK, "2026-01-01T00:00:01Z", 3)
    assert first[1:] == fires("@every 7m", NEW_YORK, first[0], 2)


def test_an_expression_without_end_costs_nothing() -> None:
    with pytest.raises(InvalidInput, match="at most 1,000 characters, not 100,009") as refused:
        CRON.validate(f"{'1,' * 50_000}1 * * * *", "UTC")
    assert len(refused.value.message) < 100
    every_second = ",".join(map(str, range(60)))
    CRON.validate(f"{every_second} {every_second} * * * *", "UTC")


def test_an_hour_that_repeats_does_not_hold_up_a_question() -> None:
    """A question from inside the second pass is answered without walking through it."""
    inside = datetime(2026, 11, 1, 6, 0, 1, tzinfo=UTC)
    due = CRON.next_after("* * * * * *", NEW_YORK, inside)
    assert due == datetime(2026, 11, 1, 7, 0, 0, tzinfo=UTC)


@given(
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    zone=st.sampled_from(ZONES),
    start=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
)
@settings(max_examples=200, deadline=None)
def test_a_daily_schedule_is_due_once_on_every_local_day(
    minute: int, hour: int, zone: str, start: datetime
) -> None:
    due = CRON.next_after(f"{minute} {hour} * * *", zone, start)
    following = CRON.next_after(f"{minute} {hour} * * *", zone, due)
    days = [t.astimezone(ZoneInfo(zone)).date() for t in (due, following)]
    assert due - start <= timedelta(hours=25)
    assert days[1] - days[0] == timedelta(days=1)


@given(st.text(max_size=40), st.text(max_size=20))
@settings(max_examples=300, deadline=None)
def test_whatever_is_given_is_a_schedule_or_refused(expression: str, zone: str) -> None:
    for timezone in ("UTC", zone):
        with suppress(InvalidInput):
            CRON.validate(expression, timezone)


@given(st.lists(st.sampled_from("*/-,#LW0159?"), min_size=1, max_size=5).map("".join))
@settings(max_examples=300, deadline=None)
def test_no_field_brings_anything_but_a_refusal(field: str) -> None:
    for position in range(5):
        fields = ["*"] * 5
        fields[position] = field
        with suppress(InvalidInput):
            CRON.validate(" ".join(fields), "UTC")
