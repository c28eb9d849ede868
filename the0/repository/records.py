"""The platform's own records: status of bots, custom bots."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pymongo.errors import DuplicateKeyError

from the0.documents import to_bson
from the0.errors import Conflict
from the0.repository.connection import Connection, Document, without_id


class PlatformRecords:
    """Collections of the platform's own database (setting `mongo.platform_database`)."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    # --- status of bots ---

    async def statuses(self, installation: str) -> dict[str, Document]:
        """Bot id -> what :meth:`save_status` stored, for all bots of the installation."""
        records = self.connection.records("bot_status", durable=False)
        query = {"installation": installation, "status": {"$exists": True}}
        with self.connection.call():
            async with records.find(query) as cursor:
                return {record["bot_id"]: record["status"] async for record in cursor}

    async def save_status(self, installation: str, bot_id: str, status: Mapping[str, Any]) -> None:
        """Replace a bot's status record. It may be lost when the database itself crashes."""
        await self._set_record(installation, bot_id, {"status": to_bson(status)}, durable=False)

    async def delete_status(self, installation: str, bot_id: str) -> None:
        """Forget a bot's status and a pending choice; no error when there is none."""
        with self.connection.call():
            records = self.connection.records("bot_status")
            await records.delete_one({"_id": _record_id(installation, bot_id)})

    async def set_state_choice(self, installation: str, bot_id: str, keep: str) -> None:
        """Remember a person's answer to a StateConflict: `local` or `stored`."""
        await self._set_record(installation, bot_id, {"state_keep": keep}, durable=True)

    async def state_choice(self, installation: str, bot_id: str) -> str | None:
        """The answer that waits for the bot's next start, None when there is none."""
        with self.connection.call():
            records = self.connection.records("bot_status")
            record = await records.find_one({"_id": _record_id(installation, bot_id)})
        return (record or {}).get("state_keep")

    async def state_choices(self, installation: str) -> dict[str, str]:
        """Bot id -> the answer that waits for its next start, for all that have one."""
        query = {"installation": installation, "state_keep": {"$exists": True}}
        with self.connection.call():
            found = self.connection.records("bot_status").find(query, {"status": 0})
            return {one["bot_id"]: one["state_keep"] async for one in found}

    async def clear_state_choice(self, installation: str, bot_id: str) -> None:
        """Forget the answer once it has been used."""
        with self.connection.call():
            await self.connection.records("bot_status").update_one(
                {"_id": _record_id(installation, bot_id)}, {"$unset": {"state_keep": ""}}
            )

    async def _set_record(
        self, installation: str, bot_id: str, fields: Document, *, durable: bool
    ) -> None:
        fields = {"installation": installation, "bot_id": bot_id, **fields}
        with self.connection.call():
            await self.connection.records("bot_status", durable=durable).update_one(
                {"_id": _record_id(installation, bot_id)}, {"$set": fields}, upsert=True
            )

    # --- custom bots ---

    async def put_custom_bot(self, document: Mapping[str, Any]) -> None:
        """Store a version of a custom bot (`name`, `version`, `sha256` and what else it has). A
        version never changes: Conflict when it exists with another `sha256`, no error when it is
        the same."""
        name, version = str(document["name"]), str(document["version"])
        stored = {"_id": f"{name}/{version}", **to_bson(without_id(document))}
        with self.connection.call():
            try:
                await self.connection.records("custom_bots").insert_one(stored)
                return
            except DuplicateKeyError:
                known = await self.get_custom_bot(name, version)
        if known is None or known.get("sha256") != document["sha256"]:
            raise Conflict(
                f"Custom bot {name!r} has a version {version} with other content already; "
                "raise the version in bot-config.yaml and deploy again."
            )

    async def get_custom_bot(self, name: str, version: str | None = None) -> Document | None:
        """That version of a custom bot, or its newest one; None when there is none."""
        query = {"name": name} if version is None else {"_id": f"{name}/{version}"}
        found = await self._custom_bots(query)
        return found[-1] if found else None

    async def list_custom_bots(self) -> list[Document]:
        """All versions of all custom bots, by name and then version."""
        return await self._custom_bots({})

    async def _custom_bots(self, query: Document) -> list[Document]:
        with self.connection.call():
            async with self.connection.records("custom_bots").find(query) as cursor:
                found = [without_id(document) async for document in cursor]
        return sorted(found, key=lambda bot: (bot["name"], version_key(bot["version"])))


def version_key(version: str) -> tuple[tuple[int, ...], bool, str]:
    """A key that sorts `1.10.0` after `1.9.0` and `1.0.0-rc1` before `1.0.0`."""
    numbers, _, suffix = version.partition("-")
    return tuple(int(n) for n in re.findall(r"\d{1,18}", numbers)), not suffix, suffix


def _record_id(installation: str, bot_id: str) -> str:
    return f"{installation}/{bot_id}"
