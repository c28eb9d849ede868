"""The connection to MongoDB: time-outs, durability, and errors translated at every call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import bson
import pymongo
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError

from the0.cancellation import cancellation_heard
from the0.errors import InvalidDocument, InvalidSettings
from the0.models import BotType
from the0.repository.errors import TRANSLATED, translate
from the0.settings import MongoSettings
from the0.settings_values import mask

Document = dict[str, Any]

BOT_COLLECTIONS = {
    BotType.REALTIME: ("bot_runner", "bots"),
    BotType.SCHEDULED: ("bot_scheduler", "bot_schedules"),
}
DURABLE = WriteConcern(w="majority", j=True)
_CODEC: CodecOptions[Document] = CodecOptions(
    document_class=dict,
    tz_aware=True,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
_READ_BATCH = 2000


@dataclass(frozen=True)
class RawDocument:
    """A document as it came over the wire: equal bytes mean an equal document."""

    raw: bytes

    def decode(self) -> Document:
        """The document; raises InvalidDocument when it is no valid BSON."""
        try:
            return bson.decode(self.raw, codec_options=_CODEC)
        except (BSONError, OverflowError, ValueError) as error:
            raise InvalidDocument("The document is no valid BSON.") from error


class Connection:
    """An asynchronous client whose every call is made inside :meth:`call`."""

    def __init__(self, settings: MongoSettings) -> None:
        self.timeout_sec = settings.timeout_sec
        milliseconds = int(settings.timeout_sec * 1000)
        try:
            self._client: AsyncMongoClient[Document] = AsyncMongoClient(
                settings.uri,
                serverSelectionTimeoutMS=milliseconds,
                connectTimeoutMS=milliseconds,
                socketTimeoutMS=milliseconds,
                appname="the0",
            )
        except (PyMongoError, ValueError, TypeError) as error:
            # pymongo's own text may quote the connection string, password included.
            raise InvalidSettings("Settings were refused:", [_unusable(error)]) from None
        self._where = mask(settings.uri).partition("?")[0]
        self._platform = settings.platform_database

    @contextmanager
    def call(self) -> Iterator[None]:
        """One call, all its retries included, under the time-out and with translated errors."""
        with self.translated(), pymongo.timeout(self.timeout_sec):
            yield

    @contextmanager
    def translated(self) -> Iterator[None]:
        try:
            with cancellation_heard():
                yield
        except TRANSLATED as error:
            raise translate(error, self._where, self.timeout_sec) from error

    def bots(self, type: BotType) -> AsyncCollection[Document]:
        """The contract's collection for bots of `type`; writes are journaled by a majority."""
        database, name = BOT_COLLECTIONS[type]
        return self._client[database].get_collection(
            name, codec_options=_CODEC, write_concern=DURABLE
        )

    def records(self, name: str, *, durable: bool = True) -> AsyncCollection[Document]:
        """A collection of the platform's own database."""
        concern = DURABLE if durable else WriteConcern(w="majority")
        return self._client[self._platform].get_collection(
            name, codec_options=_CODEC, write_concern=concern
        )

    async def read_all(self, type: BotType) -> list[RawDocument]:
        """Every document of a bot collection, or an error: never a part of them.

        The time-out bounds each batch, since a whole large collection may take longer.
        """
        await self.ping()
        collection = self.bots(type).with_options(codec_options=_RAW)
        with self.translated():
            async with collection.find(batch_size=_READ_BATCH) as cursor:
                return [RawDocument(bytes(document.raw)) async for document in cursor]

    async def ping(self) -> None:
        with self.call():
            await self._client.admin.command("ping")

    async def close(self) -> None:
        await self._client.close()


def _unusable(error: Exception) -> str:
    return (
        f"mongo.uri (MONGO_URI) is no connection string ({type(error).__name__}): its form is "
        "mongodb://user:password@host:27017/?options, with every character of user and password "
        "that is neither letter nor digit percent-encoded"
    )


def without_id(document: Mapping[str, Any]) -> Document:
    """`document` without MongoDB's own `_id`."""
    return {key: value for key, value in document.items() if key != "_id"}
