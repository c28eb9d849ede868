"""Results of queries in object storage: written once, read once, then gone."""

from __future__ import annotations

import io

from the0.errors import NotFound
from the0.plugin.interfaces import Storage
from the0.storage import keys


class ResultStore:
    """Methods block. `unique` tells one query of a bot from another (its launch id)."""

    def __init__(self, storage: Storage, bucket: str) -> None:
        self._storage = storage
        self._bucket = bucket

    def put(self, bot_id: str, unique: str, result: bytes) -> None:
        self._storage.put(
            self._bucket,
            keys.result_key(bot_id, unique),
            io.BytesIO(result),
            len(result),
            content_type="application/json",
        )

    def take(self, bot_id: str, unique: str) -> bytes | None:
        """The result, which is deleted once it was read; None when there is none."""
        key = keys.result_key(bot_id, unique)
        try:
            with self._storage.open(self._bucket, key) as found:
                result = found.read()
        except NotFound:
            return None
        self._storage.delete(self._bucket, key)
        return result
