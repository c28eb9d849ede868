"""What an event changes, decided from what is stored. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from the0.bot_events import BotEvent
from the0.errors import InvalidDocument
from the0.values import read_time, to_json


class EventOutcome(StrEnum):
    """What became of an event. `stale` means that it was older than what is stored."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    UNCHANGED = "unchanged"
    STALE = "stale"


def decide(
    event: BotEvent, stored: Mapping[str, Any] | None, deleted_at: datetime | None
) -> EventOutcome:
    """What to do about `event`, given the stored document and when a bot of this id was deleted
    (None: not within the time that deletions are remembered)."""
    if event.action == "deleted":
        return _decide_delete(event, stored, deleted_at)
    if stored is None:
        return _decide_insert(event, deleted_at)
    if event.action == "created":
        return EventOutcome.UNCHANGED
    return _decide_update(event, stored)


def stored_time(stored: Mapping[str, Any]) -> datetime | None:
    """`custom.updatedAt` of a stored document, None when it cannot be read."""
    custom = stored.get("custom")
    return read_time(custom.get("updatedAt")) if isinstance(custom, Mapping) else None


def _decide_insert(event: BotEvent, deleted_at: datetime | None) -> EventOutcome:
    newer = deleted_at is None or (event.updated_at or event.at) > deleted_at
    return EventOutcome.CREATED if newer else EventOutcome.STALE


def _decide_update(event: BotEvent, stored: Mapping[str, Any]) -> EventOutcome:
    known = stored_time(stored)
    if event.updated_at and known and event.updated_at < known:
        return EventOutcome.STALE
    before = {field: stored.get(field) for field in event.document}
    same = _as_bots_read(before) == _as_bots_read(event.document)
    return EventOutcome.UNCHANGED if same else EventOutcome.UPDATED


def _as_bots_read(document: Mapping[str, Any]) -> str | None:
    """The JSON that decides whether two documents are the same: Python takes 1, 1.0 and true for
    equal, a bot does not. None for a stored one that no bot can be given."""
    try:
        return json.dumps(to_json(document), sort_keys=True)
    except InvalidDocument:
        return None


def _decide_delete(
    event: BotEvent, stored: Mapping[str, Any] | None, deleted_at: datetime | None
) -> EventOutcome:
    if stored is None:
        return EventOutcome.UNCHANGED
    known = stored_time(stored)
    outdated = event.updated_at and known and event.updated_at < known
    done_before = deleted_at is not None and event.at <= deleted_at
    return EventOutcome.STALE if outdated or done_before else EventOutcome.DELETED
