"""Bots' state in object storage: one archive per bot, with its generation in the metadata."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO, cast

from the0.errors import NotFound
from the0.plugin.interfaces import ObjectInfo, ObjectReader, Storage
from the0.storage import keys

GENERATION = "the0-generation"
TREE = "the0-tree"
LAUNCH = "the0-launch"
_CONTENT_TYPE = "application/gzip"


@dataclass(frozen=True)
class StoredState:
    """The snapshot that is stored, and the launch that stored it. `tree` and `launch` are empty and
    `generation` is `etag:<ETag>` for an object that somebody else wrote."""

    generation: str
    tree: str
    size: int
    launch: str = ""

    @property
    def metadata(self) -> dict[str, str]:
        """What the object carries beside its content."""
        found = {GENERATION: self.generation, TREE: self.tree, LAUNCH: self.launch}
        return {name: value for name, value in found.items() if value}


class StateStore:
    """State of all bots. Methods block; they raise Unavailable whenever the truth is unknown."""

    def __init__(self, storage: Storage, bucket: str) -> None:
        self._storage = storage
        self._bucket = bucket

    def head(self, bot_id: str) -> StoredState | None:
        """What is stored; None is the store's certain answer that nothing is."""
        try:
            return _stored(self._storage.head(self._bucket, keys.state_key(bot_id)))
        except NotFound:
            return None

    def open(self, bot_id: str) -> tuple[StoredState, ObjectReader] | None:
        """The snapshot with its bytes (to be closed); None when certainly nothing is stored."""
        try:
            reader = self._storage.open(self._bucket, keys.state_key(bot_id))
        except NotFound:
            return None
        return _stored(reader.info), reader

    def put(self, bot_id: str, body: BinaryIO, state: StoredState) -> None:
        """Replace what is stored by `state.size` bytes of `body`."""
        self._storage.put(
            self._bucket,
            keys.state_key(bot_id),
            body,
            state.size,
            content_type=_CONTENT_TYPE,
            metadata=state.metadata,
        )

    def delete(self, bot_id: str, now: datetime) -> bool:
        """Move the state to the trash; whether there was any. :meth:`empty_trash` ends it."""
        found = self.open(bot_id)
        if found is None:
            return False
        state, reader = found
        with reader:
            self._storage.put(
                self._bucket,
                keys.trash_key(bot_id, now),
                cast(BinaryIO, reader),
                state.size,
                content_type=_CONTENT_TYPE,
                metadata=state.metadata,
            )
        self._storage.delete(self._bucket, keys.state_key(bot_id))
        return True

    def empty_trash(self, older_than: datetime) -> Sequence[str]:
        """Delete for good what was moved to the trash before; the keys that are gone."""
        old = [
            one.key
            for one in self._storage.list(self._bucket, keys.trash_prefix())
            if (at := keys.trashed_at(one.key)) and at < older_than.astimezone(UTC)
        ]
        for key in old:
            self._storage.delete(self._bucket, key)
        return old


def _stored(info: ObjectInfo) -> StoredState:
    if generation := info.metadata.get(GENERATION):
        return StoredState(
            generation, info.metadata.get(TREE, ""), info.size, info.metadata.get(LAUNCH, "")
        )
    # A store that lost track of an object gives an empty ETag for any content.
    mark = info.etag or f"{info.size}-{info.modified.timestamp():.0f}"
    return StoredState(f"etag:{mark}", "", info.size)
