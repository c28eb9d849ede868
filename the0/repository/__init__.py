"""MongoDB: the bots as they should be, and the platform's own records.

Everything is asynchronous; whatever pymongo raises arrives as an error of :mod:`the0.errors`.
"""

from __future__ import annotations

from the0.repository.bots import BotDocuments
from the0.repository.connection import Connection, RawDocument
from the0.repository.event_rules import EventOutcome
from the0.repository.installations import Installation, InstallationRecords
from the0.repository.records import PlatformRecords
from the0.repository.runs import RunRecords
from the0.settings import MongoSettings

__all__ = ["EventOutcome", "Installation", "RawDocument", "Repository"]


class Repository(BotDocuments, InstallationRecords, PlatformRecords, RunRecords):
    """One connection pool to MongoDB. Nothing is sent before the first call."""

    def __init__(self, settings: MongoSettings) -> None:
        """Raises InvalidSettings when the connection string cannot be used."""
        super().__init__(Connection(settings))

    async def ping(self) -> None:
        """Raises Unavailable when MongoDB does not answer within `mongo.timeout_sec`."""
        await self.connection.ping()

    async def close(self) -> None:
        """Close all connections; the repository cannot be used afterwards."""
        await self.connection.close()
