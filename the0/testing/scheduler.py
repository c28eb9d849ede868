"""Conformance suite for schedulers.

A plugin's own tests subclass it, make the plugin and name expressions of its syntax::

    class TestMyScheduler(SchedulerConformance):
        valid = ("every tuesday",)
        invalid = ("every blueday",)

        @pytest.fixture
        def scheduler(self):
            return MyScheduler(PluginArgs("test", "", Path("/nowhere")))
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import ClassVar

import pytest

from the0.errors import InvalidInput
from the0.plugin.interfaces import Scheduler

ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata")
_TURNS = (  # just before and after the clocks of those zones are changed, and between two years
    datetime(2026, 3, 8, 6, 59, 59, 500_000, tzinfo=UTC),
    datetime(2026, 11, 1, 5, 30, tzinfo=UTC),
    datetime(2026, 11, 1, 6, 30, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 15, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC),
)


class SchedulerConformance(ABC):
    """What every scheduler has to do."""

    valid: ClassVar[Sequence[str]]
    invalid: ClassVar[Sequence[str]]

    @pytest.fixture
    @abstractmethod
    def scheduler(self) -> Scheduler:
        """The plugin under test."""

    @pytest.mark.parametrize("zone", ZONES)
    def test_valid_expressions_pass(self, scheduler: Scheduler, zone: str) -> None:
        for expression in self.valid:
            scheduler.validate(expression, zone)

    def test_invalid_expressions_are_refused_by_name(self, scheduler: Scheduler) -> None:
        for expression in self.invalid:
            with pytest.raises(InvalidInput) as refused:
                scheduler.validate(expression, "UTC")
            assert expression.strip() in refused.value.message

    @pytest.mark.parametrize("zone", ["", "Nowhere/At_All", "../../etc/passwd", "UTC\0"])
    def test_an_unknown_zone_is_refused(self, scheduler: Scheduler, zone: str) -> None:
        with pytest.raises(InvalidInput):
            scheduler.validate(self.valid[0], zone)

    @pytest.mark.parametrize("zone", ZONES)
    @pytest.mark.parametrize("start", _TURNS)
    def test_times_are_in_utc_and_strictly_rise(
        self, scheduler: Scheduler, zone: str, start: datetime
    ) -> None:
        for expression in self.valid:
            after = start
            for _ in range(5):
                due = scheduler.next_after(expression, zone, after)
                assert due.utcoffset() == timedelta(0)
                assert due > after
                after = due

    @pytest.mark.parametrize("zone", ZONES)
    @pytest.mark.parametrize("start", _TURNS)
    def test_no_time_is_skipped(self, scheduler: Scheduler, zone: str, start: datetime) -> None:
        """Whoever asks a little before a due time is told that time, whatever the host's past."""
        for expression in self.valid:
            due = scheduler.next_after(expression, zone, start)
            just_before = max(start, due - timedelta(seconds=0.25))
            assert scheduler.next_after(expression, zone, just_before) == due

    def test_the_offset_of_the_question_does_not_matter(self, scheduler: Scheduler) -> None:
        elsewhere = timezone(timedelta(hours=-7))
        for expression in self.valid:
            for start in _TURNS:
                asked_elsewhere = scheduler.next_after(
                    expression, "Europe/Berlin", start.astimezone(elsewhere)
                )
                assert asked_elsewhere == scheduler.next_after(expression, "Europe/Berlin", start)

    def test_it_may_be_asked_by_several_threads(self, scheduler: Scheduler) -> None:
        def ask(_: int) -> list[datetime]:
            return [scheduler.next_after(e, "Europe/Berlin", _TURNS[0]) for e in self.valid]

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(ask, range(16)))
        assert all(answer == answers[0] for answer in answers)
