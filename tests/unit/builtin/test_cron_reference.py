"""A year of schedules in six time zones, held to a second cron library."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.cron_reference import Reference, as_cronsim
from tests.support.soak import scaled
from the0.builtin.cron import CronScheduler
from the0.builtin.cron_fields import MONTH, WEEKDAY
from the0.errors import InvalidInput
from the0.plugin import PluginArgs

CRON = CronScheduler(PluginArgs("test", "", Path("/nowhere")))
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
REFERENCES = {
    zone: Reference(zone, START, END)
    for zone in (
        "America/New_York",
        "Europe/Berlin",
        "Australia/Lord_Howe",  # changes by half an hour
        "America/Santiago",  # at midnight: a day begins at one, another has it twice
        "Africa/Casablanca",  # four changes of the clock a year and more
        "Pacific/Chatham",  # a quarter of an hour beside everyone else's
    )
}
NEXT_FEW = scaled(40, 100)


@pytest.mark.parametrize("zone", REFERENCES)
@pytest.mark.parametrize(
    "expression",
    [
        "0 9 * * 1-5",
        "30 2 * * *",
        "0 0 * * *",
        "59 23 L * *",
        "15 1,2,3 */2 * *",
        "5 */4 * * 0,3",
        "45 1-3 29 2 sun",
        "0 12 13 * fri#2",
        "20 59 23 * * 5L",
        "0 30 0-3 * mar-nov sun",
    ],
)
def test_a_whole_year(expression: str, zone: str) -> None:
    reference = REFERENCES[zone]
    expected = list(reference.due(expression, START))
    assert fires(expression, zone, START, len(expected)) == expected
    assert CRON.next_after(expression, zone, (expected or [START])[-1]) >= END


def field(
    first: int, last: int, names: Sequence[str] = (), *special: st.SearchStrategy[str]
) -> st.SearchStrategy[str]:
    """Fields as a person writes them: `*`, numbers, names, ranges, steps, lists of them."""
    number = st.integers(first, last)
    value = number.map(str)
    if names:
        value |= st.sampled_from(names)
    span = st.tuples(number, number).map(sorted).map(lambda ends: f"{ends[0]}-{ends[1]}")
    step = st.integers(1, last + 3)
    stepped = st.tuples(st.just("*") | number.map(str) | span, step).map(lambda p: f"{p[0]}/{p[1]}")
    item = st.one_of(value, span, stepped, *special)
    several = st.lists(item, min_size=1, max_size=3).map(",".join)
    return st.just("*") | value | several


EXPRESSIONS = st.tuples(
    st.just("") | field(0, 59).map(lambda second: f"{second} "),
    field(0, 59),
    field(0, 23),
    field(1, 31, (), st.just("L")),
    field(1, 12, MONTH.names),
    field(
        0,
        7,
        WEEKDAY.names,
        st.tuples(st.sampled_from([*"01234567", *WEEKDAY.names]), st.integers(1, 5)).map(
            lambda found: f"{found[0]}#{found[1]}"
        ),
        st.integers(0, 7).map(lambda day: f"{day}L"),
    ),
).map(lambda fields: fields[0] + " ".join(fields[1:]))


@given(expression=EXPRESSIONS, zone=st.sampled_from(sorted(REFERENCES)))
@example("* * * * * *", "America/New_York")
@example("*/20 30 2 * * *", "Australia/Lord_Howe")
@example("0 0 1 1 1#5", "America/Santiago")
@settings(max_examples=scaled(150, 3000), deadline=None)
def test_expressions_of_all_kinds_from_the_new_year_and_around_each_change_of_the_clock(
    expression: str, zone: str
) -> None:
    if not ever_due(expression):
        with pytest.raises(InvalidInput, match="never fires"):
            CRON.validate(expression, zone)
        return
    reference = REFERENCES[zone]
    for start in (START, *(turn - timedelta(hours=2) for turn in reference.turns)):
        expected = list(islice(reference.due(expression, start), NEXT_FEW))
        assert fires(expression, zone, start, len(expected)) == expected


def ever_due(expression: str) -> bool:
    try:
        return next(CronSim(as_cronsim(expression), datetime(2026, 1, 1)), None) is not None
    except CronSimError:
        return False


def fires(expression: str, zone: str, start: datetime, count: int) -> list[datetime]:
    """As a scheduler asks for them: each time from the last due one on."""
    due, found = start, []
    for _ in range(count):
        due = CRON.next_after(expression, zone, due)
        found.append(due)
    return found
