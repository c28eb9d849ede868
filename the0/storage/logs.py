"""Bots' logs in object storage: one NDJSON object per UTC day, replaced as the day grows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from the0.errors import NotFound
from the0.plugin.interfaces import Storage
from the0.storage import keys

TAIL_BYTES = 512 * 1024
_PIECE = 256 * 1024
_CONTENT_TYPE = "application/x-ndjson"


class LogStore:
    """The day objects of all bots. Methods block."""

    def __init__(self, storage: Storage, bucket: str) -> None:
        self._storage = storage
        self._bucket = bucket

    def days(self, bot_id: str) -> Sequence[str]:
        """Days (YYYYMMDD) that the store has of the bot, oldest first."""
        found = self._storage.list(self._bucket, keys.log_prefix(bot_id))
        return sorted(day for one in found if (day := keys.day_of_log_key(bot_id, one.key)))

    def put(self, bot_id: str, day: str, body: BinaryIO, size: int) -> None:
        key = keys.log_key(bot_id, day)
        self._storage.put(self._bucket, key, body, size, content_type=_CONTENT_TYPE)

    def pieces(self, bot_id: str, day: str) -> Iterator[bytes]:
        """The whole day, in pieces; none when there is certainly no such object."""
        try:
            with self._storage.open(self._bucket, keys.log_key(bot_id, day)) as found:
                while piece := found.read(_PIECE):
                    yield piece
        except NotFound:
            return

    def remove(self, bot_id: str) -> None:
        """All days of the bot, and of no other whose id begins with this one's."""
        for day in self.days(bot_id):
            self._storage.delete(self._bucket, keys.log_key(bot_id, day))

    def tail(self, bot_id: str, day: str) -> bytes:
        """The last 512 KiB of the day."""
        kept = b""
        for piece in self.pieces(bot_id, day):
            kept = (kept + piece)[-TAIL_BYTES:]
        return kept
