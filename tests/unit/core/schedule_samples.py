"""Scheduled bots and runs for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from the0.models import (
    BotSchedule,
    BotType,
    CatchUp,
    Concurrency,
    Run,
    Schedule,
    Trigger,
)

SLOT = datetime(2026, 6, 1, 12, tzinfo=UTC)
SCHEDULE = {
    "expression": "* * * * *",
    "timezone": "UTC",
    "concurrency": Concurrency.FORBID,
    "catch_up": CatchUp.SKIP,
    "start_deadline_sec": 300.0,
    "timeout_sec": 3600.0,
    "retries": 0,
    "jitter_sec": 0.0,
}


def bot(bot_id: str = "a", planned: datetime | None = None, **schedule: Any) -> BotSchedule:
    """A bot that is due every minute unless `schedule` says otherwise."""
    return BotSchedule(
        id=bot_id,
        type=BotType.SCHEDULED,
        enabled=True,
        config={},
        name=bot_id,
        version="1.0.0",
        runtime="python3.11",
        code_key="code",
        entrypoints={"bot": "main.py"},
        schedule=Schedule(**SCHEDULE | schedule),
        planned=planned,
    )


def run(**changed: Any) -> Run:
    fields: dict[str, Any] = {
        "id": "1" * 32,
        "bot_id": "a",
        "slot": SLOT,
        "attempt": 1,
        "trigger": Trigger.SCHEDULE,
        "due": SLOT,
        "deadline": SLOT.replace(minute=5),
        "timeout_sec": 60.0,
        "retries": 0,
        "claimed": SLOT,
        "owner": "me",
        "lease_until": SLOT.replace(second=15),
        "host": "here",
    }
    return Run(**fields | changed)
