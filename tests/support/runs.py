"""Runs as records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from the0.models import Outcome, Run, Trigger

NINE = datetime(2026, 1, 31, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def a_run(minute: int = 0, bot_id: str = "one", **changed: Any) -> Run:
    """The run of a bot at nine and `minute` minutes, which succeeded after two seconds."""
    slot = NINE + timedelta(minutes=minute)
    fields = {
        "id": f"{bot_id}-{minute}",
        "bot_id": bot_id,
        "slot": slot,
        "attempt": 1,
        "trigger": Trigger.SCHEDULE,
        "due": slot,
        "deadline": slot + timedelta(minutes=5),
        "timeout_sec": 60.0,
        "retries": 0,
        "claimed": slot,
        "owner": "",
        "lease_until": None,
        "host": "here",
        "started": slot + SECOND,
        "ended": slot + 3 * SECOND,
        "outcome": Outcome.SUCCEEDED,
        "exit_code": 0,
        "result": {"status": "success", "exact": 2**60 + 1},
    }
    return Run(**{**fields, **changed})
