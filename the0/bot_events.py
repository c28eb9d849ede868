"""What an event about a bot says, whichever of its two payload forms it has. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from the0.documents import document_id
from the0.errors import InvalidDocument
from the0.models import BotType
from the0.values import read_time, to_bson

SUBJECTS = {"bot": BotType.REALTIME, "bot-schedule": BotType.SCHEDULED}
ACTIONS = ("created", "updated", "deleted")
STORED_FIELDS = ("config", "custom", "enabled", "segment_id", "next_execution_time")
"""What of a document is taken over from an event or a caller, beside its id."""


@dataclass(frozen=True)
class BotEvent:
    """A bot was created, updated or deleted.

    `document` holds the id and those of :data:`STORED_FIELDS` that were sent, ready for BSON;
    `updated_at` is its `custom.updatedAt` if readable; `at` is when the event was sent, as far as
    that is known (the same on every redelivery), else when it was received.
    """

    type: BotType
    action: str
    id: str
    document: Mapping[str, Any]
    updated_at: datetime | None
    at: datetime


def parse_event(subject: str, payload: bytes, at: datetime | None = None) -> BotEvent:
    """The event in `payload`, received on `subject`; `at` is the stream's own time for it.

    Raises InvalidDocument saying what is wrong, without any content of the document.
    """
    type_, action = _parse_subject(subject)
    body = _parse_json(payload)
    sent_at = read_time(body.get("timestamp")) or at or datetime.now(UTC)
    wrapped = "entity_id" in body or isinstance(body.get("data"), Mapping)
    data = body.get("data") or {} if wrapped else body
    bot_id = _text(body.get("entity_id")) or document_id(data)
    if bot_id is None:
        raise InvalidDocument("its payload names no bot: `id` (or `entity_id`) must be a text")
    if not isinstance(data, Mapping):
        raise InvalidDocument("its `data` is no object")
    # Whatever else a deletion carries, a bot that shall end is not kept for it.
    fields = () if action == "deleted" else STORED_FIELDS
    document = to_bson({"id": bot_id} | {k: data[k] for k in fields if k in data})
    if action != "deleted":
        _require_parts(document)
    custom = data.get("custom")
    updated_at = read_time(custom.get("updatedAt")) if isinstance(custom, Mapping) else None
    return BotEvent(type_, action, bot_id, document, updated_at, sent_at)


def _parse_subject(subject: str) -> tuple[BotType, str]:
    match subject.split("."):
        case ["the0", kind, action] if kind in SUBJECTS and action in ACTIONS:
            return SUBJECTS[kind], action
    raise InvalidDocument(f"the subject {subject!r} is none of the0's")


def _parse_json(payload: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise InvalidDocument(f"its payload is no JSON ({type(error).__name__})") from None
    if not isinstance(body, Mapping):
        raise InvalidDocument("its payload is no JSON object")
    return body


def _require_parts(document: Mapping[str, Any]) -> None:
    for field in ("config", "custom"):
        if not isinstance(document.get(field), Mapping):
            raise InvalidDocument(f"its `{field}` is missing or no object")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
