"""The phase of a scheduled bot follows from what is known of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from the0.api.schedule_views import schedule_status, stored_schedule
from the0.models import BotSchedule, BotType, CatchUp, Concurrency, Schedule

ENTRY: dict[str, Any] = {
    "id": "a",
    "enabled": True,
    "next": "2026-01-31T12:00:00+00:00",
    "running": None,
    "conditions": [],
}
INVALID = {"type": "InvalidDocument", "reason": "r", "message": "m", "status": True}


@pytest.mark.parametrize(
    ("changed", "phase"),
    [
        ({}, "waiting"),
        ({"next": None}, "pending"),
        ({"enabled": False, "next": None}, "disabled"),
        ({"conditions": [INVALID], "next": None}, "invalid"),
        ({"conditions": [INVALID], "enabled": False}, "disabled"),
        ({"conditions": [{**INVALID, "status": False}]}, "waiting"),
        ({"running": "run", "enabled": False}, "running"),
    ],
)
def test_the_phase(changed: dict[str, Any], phase: str) -> None:
    assert schedule_status({**ENTRY, **changed})["phase"] == phase


@pytest.mark.parametrize("enabled", [True, False])
def test_what_is_stored_says_when_it_is_next_due(enabled: bool) -> None:
    schedule = Schedule("@daily", "UTC", Concurrency.FORBID, CatchUp.SKIP, 300, 60, 0, 0)
    bot = BotSchedule(
        id="a",
        type=BotType.SCHEDULED,
        enabled=enabled,
        config={},
        name="a",
        version="1.0.0",
        runtime="python3.11",
        code_key="k",
        entrypoints={"bot": "main.py"},
        schedule=schedule,
        planned=datetime(2026, 1, 31, 12, tzinfo=UTC),
    )
    shown = stored_schedule(bot, None)
    assert shown["next"] == ("2026-01-31T12:00:00+00:00" if enabled else None)
    assert shown["phase"] == ("waiting" if enabled else "disabled")
    assert stored_schedule(bot, "run")["phase"] == "running"
