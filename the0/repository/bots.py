"""Bot documents: what shall run. Writes are journaled by a majority before they return."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.errors import DuplicateKeyError, OperationFailure

from the0.bot_events import STORED_FIELDS, BotEvent
from the0.documents import document_id, is_enabled, to_bson
from the0.errors import NotFound, Unavailable
from the0.models import BotType
from the0.repository.connection import Connection, Document, RawDocument
from the0.repository.event_rules import EventOutcome, decide

log = logging.getLogger(__name__)

TOMBSTONE_KEPT = timedelta(hours=24)
_ATTEMPTS = 5
_STALE = (
    "it is older than what is stored, or than the bot's deletion within the last 24 hours; one "
    "with a newer custom.updatedAt counts"
)


class BotDocuments:
    """The collections of bots, and the memory of deletions beside them."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def desired(self, type: BotType) -> list[RawDocument]:
        """All documents of a bot collection, undecoded. Raises Unavailable rather than giving a
        part of them."""
        return await self.connection.read_all(type)

    async def get_bot(self, type: BotType, bot_id: str) -> Document | None:
        """The bot's document, or None for the certain answer that there is none."""
        with self.connection.call():
            return await self._find(type, bot_id)

    async def upsert_bot(self, type: BotType, document: Mapping[str, Any]) -> None:
        """Store `document` (its `id` and those of STORED_FIELDS that it has; other fields of a
        stored one stay). Raises InvalidDocument when it cannot be stored."""
        bot_id = str(document["id"])
        wanted = to_bson({key: document[key] for key in STORED_FIELDS if key in document})
        with self.connection.call():
            for _ in range(_ATTEMPTS):
                stored = await self._find(type, bot_id)
                if await self._write(type, bot_id, wanted, stored):
                    return
        raise _contended(bot_id)

    async def set_enabled(self, type: BotType, bot_id: str, enabled: bool) -> None:
        """Switch a bot on or off, in its config too where that says otherwise. Raises NotFound."""
        with self.connection.call():
            stored = await self._find(type, bot_id)
            if stored is None:
                raise NotFound(f"There is no {type} bot {bot_id!r}.")
            change = {"enabled": enabled}
            if enabled and not is_enabled({"config": stored.get("config")}):
                change["config.enabled"] = True
            await self.connection.bots(type).update_one({"_id": stored["_id"]}, {"$set": change})

    async def delete_bot(self, type: BotType, bot_id: str) -> bool:
        """Delete a bot and remember it for 24 hours, so that no older event brings it back.
        False when there was none."""
        with self.connection.call():
            await self._bury(type, bot_id, datetime.now(UTC))
            stored = await self._find(type, bot_id)
            return stored is not None and await self._remove(type, bot_id, stored)

    async def apply_event(self, type: BotType, event: BotEvent) -> EventOutcome:
        """Store what an event says; see :mod:`the0.repository.event_rules`. Once it returns, the
        event may be acknowledged."""
        with self.connection.call():
            for _ in range(_ATTEMPTS):
                stored = await self._find(type, event.id)
                outcome = decide(event, stored, await self._deleted_at(type, event.id))
                if await self._apply(type, event, stored, outcome):
                    if outcome is EventOutcome.STALE:
                        log.warning(
                            "%s event of bot %r dropped: %s", event.action, event.id, _STALE
                        )
                    return outcome
        raise _contended(event.id)

    async def _apply(
        self, type: BotType, event: BotEvent, stored: Document | None, outcome: EventOutcome
    ) -> bool:
        """Whether it was done; False when the document changed meanwhile."""
        if event.action == "deleted" and outcome is not EventOutcome.STALE:
            await self._bury(type, event.id, event.at)
        if outcome is EventOutcome.DELETED and stored is not None:
            await self._remove(type, event.id, stored)
        if outcome in (EventOutcome.CREATED, EventOutcome.UPDATED):
            fields = {key: event.document[key] for key in STORED_FIELDS if key in event.document}
            return await self._write(type, event.id, fields, stored)
        return True

    async def _find(self, type: BotType, bot_id: str) -> Document | None:
        for field in ("id", "_id"):  # two indexed look-ups; `$or` scans on some servers
            document = await self.connection.bots(type).find_one({field: bot_id})
            if document is not None and document_id(document) == bot_id:
                return document
        return None

    async def _write(
        self, type: BotType, bot_id: str, fields: Document, stored: Document | None
    ) -> bool:
        """Insert, or change exactly the version that was read; False when someone was quicker."""
        collection = self.connection.bots(type)
        if stored is None:
            try:
                # `_id` is the id as well, so that two inserts at once cannot make two documents.
                await collection.insert_one({"_id": bot_id, "id": bot_id, **fields})
            except DuplicateKeyError:
                return False
            return True
        as_read = {"_id": stored["_id"], "custom.updatedAt": _nested(stored, "updatedAt")}
        result = await collection.update_one(as_read, {"$set": fields})
        return result.matched_count == 1

    async def _remove(self, type: BotType, bot_id: str, stored: Document) -> bool:
        """Remove `stored`, and any other document with its id: else that one would be the bot."""
        removed = 0
        left: Document | None = stored
        while left is not None:
            result = await self.connection.bots(type).delete_one({"_id": left["_id"]})
            removed += result.deleted_count
            left = await self._find(type, bot_id)
        return removed > 0

    async def _bury(self, type: BotType, bot_id: str, deleted_at: datetime) -> None:
        # An older deletion that is told again must not bring back what came before a newer one.
        tombstone = {
            "$max": {"deleted_at": deleted_at},
            "$set": {"recorded_at": datetime.now(UTC)},
        }
        await self.connection.records("tombstones").update_one(
            {"_id": f"{type}/{bot_id}"}, tombstone, upsert=True
        )

    async def _deleted_at(self, type: BotType, bot_id: str) -> datetime | None:
        records = self.connection.records("tombstones")
        tombstone = await records.find_one({"_id": f"{type}/{bot_id}"})
        if tombstone is None or datetime.now(UTC) - tombstone["recorded_at"] > TOMBSTONE_KEPT:
            return None
        deleted_at: datetime = tombstone["deleted_at"]
        return deleted_at

    async def make_bot_indexes(self) -> None:
        """Indexes that make look-ups quick; a database that forbids them works without."""
        for type_ in BotType:
            await self._try_index(self.connection.bots(type_), "id")
        tombstones = self.connection.records("tombstones")
        kept = int(TOMBSTONE_KEPT.total_seconds())
        await self._try_index(tombstones, "recorded_at", expireAfterSeconds=kept)

    async def _try_index(self, collection: Any, field: str, **options: Any) -> None:
        with self.connection.call():
            try:
                await collection.create_index(field, **options)
            except OperationFailure as error:
                log.warning("no index on %s.%s (code %s)", collection.name, field, error.code)


def _nested(document: Document, field: str) -> Any:
    custom = document.get("custom")
    return custom.get(field) if isinstance(custom, Mapping) else None


def _contended(bot_id: str) -> Unavailable:
    return Unavailable(f"Bot {bot_id!r} is being changed by others all the time; ask again.")
