"""The installations that ever worked from this MongoDB, each by the name of its instance."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pymongo.errors import DuplicateKeyError

from the0.errors import Conflict
from the0.repository.connection import Connection


@dataclass(frozen=True)
class Installation:
    """Who claimed an instance: the machine's host name, its state directory there, its engine."""

    instance: str
    id: str
    engine: str
    host: str
    state_dir: Path
    claimed_at: datetime


class InstallationRecords:
    """The collection `installations` of the platform's own database."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def claim_installation(self, instance: str, engine_id: str, state_dir: Path) -> str:
        """The id of this installation, made at the first call. Raises Conflict naming the holder
        when the instance belongs to another engine."""
        fresh = {
            "_id": instance,
            "installation": uuid.uuid4().hex,
            "engine": engine_id,
            "host": socket.gethostname(),
            "state_dir": str(state_dir),
            "claimed_at": datetime.now(UTC),
        }
        records = self.connection.records("installations")
        with self.connection.call():
            # An insert decides between hosts that claim at once: an upsert does not on every
            # server of the protocol.
            with suppress(DuplicateKeyError):
                await records.insert_one(fresh)
            record = await records.find_one({"_id": instance}) or fresh
            if record["engine"] != engine_id:
                raise Conflict(_held_text(_installation(record)))
            where = {key: fresh[key] for key in ("host", "state_dir")}
            await records.update_one({"_id": instance}, {"$set": where})
        return str(record["installation"])

    async def installation(self, instance: str) -> str | None:
        """The id of the installation of this name, None when none was ever claimed."""
        with self.connection.call():
            record = await self.connection.records("installations").find_one({"_id": instance})
        return str(record["installation"]) if record else None

    async def other_installations(self, instance: str) -> list[Installation]:
        """Everybody else who ever claimed a name in this MongoDB."""
        query = {"_id": {"$ne": instance}}
        with self.connection.call():
            async with self.connection.records("installations").find(query) as cursor:
                return [_installation(record) async for record in cursor]


def _installation(record: Mapping[str, Any]) -> Installation:
    return Installation(
        instance=str(record["_id"]),
        id=str(record["installation"]),
        engine=str(record["engine"]),
        host=str(record["host"]),
        state_dir=Path(record["state_dir"]),
        claimed_at=record["claimed_at"],
    )


def _held_text(holder: Installation) -> str:
    return (
        f"The instance {holder.instance!r} of this MongoDB belongs to engine {holder.engine} on "
        f"host {holder.host} since {holder.claimed_at:%Y-%m-%d %H:%M} UTC. Give this one another "
        "name (THE0_INSTANCE) and database; or, if that engine is gone for good, delete the "
        f"document {{_id: '{holder.instance}'}} of the collection `installations`."
    )
