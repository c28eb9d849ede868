"""Documents of scheduled bots: what they may say, and what the site says otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.builtin.cron import CronScheduler
from the0.errors import InvalidDocument
from the0.models import BotSchedule, BotType, CatchUp, Concurrency, Schedule
from the0.plugin.interfaces import PluginArgs
from the0.schedules import parse_schedule
from the0.settings import LimitSettings, SchedulerSettings

CRON = CronScheduler(PluginArgs("test", "", Path("/nowhere")))
SITE = SchedulerSettings(concurrency="replace", catch_up="once", timeout_sec=60.0, retries=2)


def document(config: Any = None, **fields: Any) -> dict[str, Any]:
    about = {"name": "b", "entrypoints": {"bot": "main.py"}}
    return {
        "id": "a",
        "config": {"schedule": "0 9 * * *", **(config or {})},
        "custom": {"version": "1.0.0", "filePath": "u/b/1.0.0", "config": about},
        **fields,
    }


def parse(given: Any, defaults: SchedulerSettings = SITE) -> BotSchedule:
    return parse_schedule(given, LimitSettings(), defaults, CRON)


def faults(given: Any) -> Sequence[str]:
    try:
        parse(given)
    except InvalidDocument as error:
        return error.faults or [error.message]
    return ()


def test_what_the_config_leaves_open_is_the_sites() -> None:
    found = parse(document())
    assert (found.type, found.enabled, found.planned) == (BotType.SCHEDULED, True, None)
    assert found.schedule == Schedule(
        expression="0 9 * * *",
        timezone="UTC",
        concurrency=Concurrency.REPLACE,
        catch_up=CatchUp.ONCE,
        start_deadline_sec=300.0,
        timeout_sec=60.0,
        retries=2,
        jitter_sec=0.0,
    )


def test_the_config_has_its_own_words_for_everything() -> None:
    own = {
        "timezone": "America/New_York",
        "concurrency": "forbid",
        "catch_up": "skip",
        "start_deadline_sec": "2m",
        "timeout_sec": 7,
        "retries": 0,
        "jitter_sec": 1.5,
    }
    schedule = parse(document(own)).schedule
    assert schedule.timezone == "America/New_York"
    assert (schedule.concurrency, schedule.catch_up) == (Concurrency.FORBID, CatchUp.SKIP)
    assert (schedule.start_deadline_sec, schedule.timeout_sec) == (120.0, 7.0)
    assert (schedule.retries, schedule.jitter_sec) == (0, 1.5)


def test_what_the_bot_s_own_schema_describes_is_the_bot_s() -> None:
    own = {"concurrency": 4, "retries": "3", "timeout_sec": [], "timezone": "EST5", "catch_up": 1}
    given = document(own)
    given["custom"]["config"]["schema"] = {"bot": {"properties": {**own, "schedule": {}}}}
    assert parse(given).schedule == parse(document()).schedule


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"schedule": None}, "config.schedule is missing"),
        ({"schedule": 5}, "config.schedule is 5"),
        ({"schedule": "61 * * * *"}, "config.schedule: "),
        ({"schedule": "0 0 30 2 *"}, "never fires"),
        ({"timezone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"concurrency": "allow"}, "config.concurrency is 'allow'"),
        ({"catch_up": "all"}, "config.catch_up is 'all'; it must be one of skip, once"),
        ({"start_deadline_sec": 0}, "config.start_deadline_sec is 0"),
        ({"timeout_sec": "soon"}, "config.timeout_sec is 'soon'"),
        ({"retries": 1.5}, "config.retries is 1.5; it must be a whole number from 0 to 100"),
        ({"retries": True}, "config.retries is True"),
        ({"jitter_sec": -1}, "config.jitter_sec is -1"),
    ],
)
def test_what_is_wrong_is_named(config: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        parse(document(config))
    (only,) = caught.value.faults
    assert fault in only


def test_faults_of_bot_and_schedule_are_told_together() -> None:
    broken = document({"schedule": "x", "resources": {"pids": 1}})
    del broken["custom"]["filePath"]
    with pytest.raises(InvalidDocument) as caught:
        parse(broken)
    assert "'a'" in str(caught.value)
    assert len(caught.value.faults) == 3


@pytest.mark.parametrize("off", [False, "false", " False ", "0", 0, 0.0])
def test_a_disabled_flag_counts_as_for_every_bot(off: object) -> None:
    assert not parse(document({"enabled": off})).enabled
    assert not parse(document(enabled=off)).enabled


@pytest.mark.parametrize(
    ("value", "planned"),
    [
        (1780315200, datetime(2026, 6, 1, 12, tzinfo=UTC)),
        (1780315200.0, datetime(2026, 6, 1, 12, tzinfo=UTC)),
        (None, None),
        (True, None),
        ("1780315200", None),
        (10**30, None),
        (float("nan"), None),
    ],
)
def test_the_plan_of_a_document(value: object, planned: datetime | None) -> None:
    assert parse(document(next_execution_time=value)).planned == planned


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
    st.sampled_from(
        ["schedule", "timezone", "concurrency", "catch_up", "timeout_sec", "retries", "jitter_sec"]
    ),
)
def test_any_value_is_taken_or_refused_by_name(value: Any, field: str) -> None:
    assert all(fault.startswith("config") for fault in faults(document({field: value})))
