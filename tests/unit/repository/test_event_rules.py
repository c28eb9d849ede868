from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from the0.bot_events import BotEvent
from the0.models import BotType
from the0.repository.event_rules import EventOutcome, decide

T = datetime(2026, 1, 1, 12, tzinfo=UTC)
EARLIER, LATER = T - timedelta(hours=1), T + timedelta(hours=1)
CREATED, UPDATED, DELETED = EventOutcome.CREATED, EventOutcome.UPDATED, EventOutcome.DELETED
UNCHANGED, STALE = EventOutcome.UNCHANGED, EventOutcome.STALE


def event(action: str, updated_at: datetime | None = None, at: datetime = T) -> BotEvent:
    document = {"id": "a", "config": {"x": 1}, "custom": custom(updated_at)}
    return BotEvent(BotType.REALTIME, action, "a", document, updated_at, at)


def stored(updated_at: datetime | None = None, x: float = 0) -> dict[str, Any]:
    return {"_id": "a", "id": "a", "config": {"x": x}, "custom": custom(updated_at)}


def custom(updated_at: datetime | None) -> dict[str, Any]:
    return {"version": "1"} | ({"updatedAt": updated_at.isoformat()} if updated_at else {})


@pytest.mark.parametrize(
    ("event", "stored", "deleted_at", "outcome"),
    [
        # a bot that nobody knows
        (event("created"), None, None, CREATED),
        (event("updated"), None, None, CREATED),
        (event("deleted"), None, None, UNCHANGED),
        # one that is known
        (event("created", LATER), stored(T), None, UNCHANGED),
        (event("updated", LATER), stored(T), None, UPDATED),
        (event("updated", T), stored(T), None, UPDATED),
        (event("updated", EARLIER), stored(T), None, STALE),
        (event("updated", T), stored(T, x=1), None, UNCHANGED),
        # equal to Python, but not to a bot
        (event("updated", T), stored(T, x=1.0), None, UPDATED),
        (event("updated", T), stored(T, x=True), None, UPDATED),
        (event("updated", T), stored(T, x=float("nan")), None, UPDATED),
        (event("updated", None), stored(T), None, UPDATED),
        (event("updated", EARLIER), stored(None), None, UPDATED),
        (event("deleted", T), stored(T), None, DELETED),
        (event("deleted", None), stored(LATER), None, DELETED),
        (event("deleted", EARLIER), stored(T), None, STALE),
        # one that was deleted lately
        (event("created", EARLIER), None, T, STALE),
        (event("updated", T), None, T, STALE),
        (event("updated", LATER), None, T, CREATED),
        (event("created", None, at=EARLIER), None, T, STALE),
        (event("created", None, at=LATER), None, T, CREATED),
        # a deletion that is sent again after the bot was made anew
        (event("deleted", None, at=T), stored(LATER), T, STALE),
        (event("deleted", None, at=LATER), stored(T), EARLIER, DELETED),
    ],
)
def test_what_an_event_changes(
    event: BotEvent,
    stored: dict[str, Any] | None,
    deleted_at: datetime | None,
    outcome: EventOutcome,
) -> None:
    assert decide(event, stored, deleted_at) is outcome
