"""Results of queries in object storage: there until they were read."""

from __future__ import annotations

import io

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

    def remove(self, bot_id: str, unique: str) -> None:
        """It was read. No error when it is not there."""
        self._storage.delete(self._bucket, keys.result_key(bot_id, unique))
