"""What is written behind: plans that pass no open slot, and slots that were missed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from tests.unit.core.schedule_samples import SLOT, run
from the0.core import schedule_ledger
from the0.core.schedule_course import Course
from the0.core.schedule_ledger import Ledger
from the0.errors import Unavailable
from the0.models import Run
from the0.repository import Repository

LATER = SLOT + timedelta(minutes=1)
LATEST = SLOT + timedelta(minutes=2)


class Records:
    """MongoDB as far as the ledger needs it."""

    def __init__(self) -> None:
        self.plans: dict[str, tuple[datetime | None, bool]] = {}
        self.missed: list[Run] = []
        self.away = False

    async def plan_bot(self, bot_id: str, at: datetime | None, *, forward: bool) -> None:
        if self.away:
            raise Unavailable("away")
        self.plans[bot_id] = (at, forward)

    async def record_runs(self, runs: Sequence[Run]) -> int:
        if self.away:
            raise Unavailable("away")
        self.missed += runs
        return len(runs)


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def ledger(records: Records) -> Ledger:
    return Ledger(cast("Repository", records))


async def test_a_plan_stays_at_the_first_slot_that_nobody_has_yet(
    ledger: Ledger, records: Records
) -> None:
    ledger.open("a", SLOT)
    ledger.open("a", LATER)
    ledger.plan("a", LATEST, forward=True)
    await ledger.flush()
    assert records.plans == {}
    ledger.settle("a", SLOT)
    await ledger.flush()
    assert records.plans == {"a": (LATER, True)}
    ledger.settle("a", LATER)
    ledger.settle("a", LATER)
    await ledger.flush()
    assert records.plans == {"a": (LATEST, True)}


async def test_nothing_is_remembered_of_what_is_written(ledger: Ledger, records: Records) -> None:
    ledger.open("a", SLOT)
    ledger.plan("a", LATER, forward=True)
    ledger.settle("a", SLOT)
    await ledger.flush()
    ledger.settle("a", SLOT)
    await ledger.flush()
    assert records.plans == {"a": (LATER, True)}
    assert not [value for value in vars(ledger).values() if isinstance(value, dict) and value]


async def test_a_plan_that_was_made_anew_may_go_back(ledger: Ledger, records: Records) -> None:
    ledger.plan("a", LATEST, forward=False)
    ledger.plan("a", LATER, forward=True)
    ledger.plan("b", None, forward=False)
    await ledger.flush()
    assert records.plans == {"a": (LATER, False), "b": (None, False)}


async def test_what_could_not_be_written_still_waits(ledger: Ledger, records: Records) -> None:
    records.away = True
    ledger.plan("a", LATER, forward=True)
    with pytest.raises(Unavailable):
        await ledger.flush()
    records.away = False
    await ledger.flush()
    assert records.plans == {"a": (LATER, True)}


async def test_missed_slots_are_recorded_after_a_moment_and_in_spite_of_outages(
    ledger: Ledger, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MISSED_AFTER_SEC", "WRITE_DELAY_SEC", "RETRY_SEC"):
        monkeypatch.setattr(schedule_ledger, name, 0.05)
    records.away = True
    missed = [run(), run(id="2" * 32, slot=LATER)]
    ledger.missed("a", missed, LATER)
    ledger.plan("a", LATEST, forward=True)
    writing = asyncio.create_task(ledger.run())
    await asyncio.sleep(0.3)
    assert records.missed == []
    records.away = False
    await _until(lambda: records.plans.get("a") == (LATEST, True))
    assert records.missed == missed
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


async def test_a_slot_is_not_missed_while_another_scheduler_may_still_start_it(
    ledger: Ledger, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MISSED_AFTER_SEC", "WRITE_DELAY_SEC"):
        monkeypatch.setattr(schedule_ledger, name, 0.05)
    too_late = run(ended=LATER)
    queued = run(id="2" * 32, slot=LATER, ended=LATEST)
    ledger.missed("a", [queued, too_late], LATER)
    writing = asyncio.create_task(ledger.run())
    await _until(lambda: records.missed)
    await asyncio.sleep(0.3)
    assert records.missed == [too_late]
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


async def test_news_end_a_pause_once() -> None:
    course = Course(run())
    course.news.set()
    assert not await course.pause(5)
    assert await course.pause(0.01), "old news are none"


async def _until(seen: Any) -> None:
    async with asyncio.timeout(10):
        while not seen():  # noqa: ASYNC110 - the ledger tells nobody
            await asyncio.sleep(0.02)
