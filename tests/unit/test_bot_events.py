from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.bot_events import BotEvent, parse_event
from the0.errors import InvalidDocument
from the0.models import BotType

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CUSTOM = {"version": "1", "updatedAt": "2026-01-02T03:04:05Z"}
DOCUMENT = {"id": "a", "config": {"x": 2**60 + 1}, "custom": CUSTOM}


def parse(subject: str, body: Any) -> BotEvent:
    return parse_event(subject, json.dumps(body).encode(), NOW)


def test_a_direct_payload() -> None:
    updated_at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    expected = BotEvent(BotType.REALTIME, "created", "a", DOCUMENT, updated_at, NOW)
    assert parse("the0.bot.created", {**DOCUMENT, "extra": 1}) == expected


def test_a_wrapped_payload() -> None:
    body = {"type": "x", "entity_id": "a", "data": DOCUMENT, "timestamp": "2026-05-01T00:00:00Z"}
    event = parse("the0.bot-schedule.updated", body)
    assert (event.type, event.action, event.id) == (BotType.SCHEDULED, "updated", "a")
    assert (event.document, event.at) == (DOCUMENT, datetime(2026, 5, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "body",
    [
        {"id": "a"},
        {"_id": "a"},
        {"entity_id": "a"},
        {"entity_id": "a", "data": None, "id": "of the event itself"},
        {"entity_id": "a", "data": {}},
        {"type": "deleted", "data": {"id": "a"}},
        {"id": "a", "config": {"price": float("nan"), "text": "\ud800"}, "custom": CUSTOM},
    ],
)
def test_a_deletion_needs_only_an_id(body: Any) -> None:
    event = parse("the0.bot.deleted", body)
    assert (event.action, event.id, event.document) == ("deleted", "a", {"id": "a"})


@pytest.mark.parametrize(
    ("subject", "payload", "reason"),
    [
        ("the0.bot.logs", b"{}", "subject"),
        ("the0.exchange.created", b"{}", "subject"),
        ("the0.bot.created", b"not json: hunter2", "no JSON"),
        ("the0.bot.created", b"\xff\xfe hunter2", "no JSON"),
        ("the0.bot.created", b"[" * 200_000, "no JSON"),
        ("the0.bot.created", b"9" * 10_000, "no JSON"),
        ("the0.bot.created", b'["hunter2"]', "no JSON object"),
        ("the0.bot.created", b'{"config": {"key": "hunter2"}}', "names no bot"),
        ("the0.bot.updated", b'{"id": "a", "custom": {"k": "hunter2"}}', "`config`"),
        ("the0.bot.updated", b'{"id": "a", "config": {}, "custom": "hunter2"}', "`custom`"),
        ("the0.bot.updated", b'{"entity_id": "a", "data": "hunter2"}', "`data`"),
        ("the0.bot.updated", b'{"id": "a", "config": {"k": NaN}, "custom": {}}', "config.k"),
    ],
)
def test_poison_says_why_and_nothing_of_its_content(
    subject: str, payload: bytes, reason: str
) -> None:
    with pytest.raises(InvalidDocument) as refused:
        parse_event(subject, payload)
    assert reason in refused.value.message
    assert "hunter2" not in refused.value.message


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_poison(payload: bytes) -> None:
    with suppress(InvalidDocument):
        parse_event("the0.bot.updated", payload)
