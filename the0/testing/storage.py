"""Conformance suite for storage plugins.

A plugin's own tests subclass it and say how to make the plugin against a real server::

    class TestMyStorage(StorageConformance):
        @pytest.fixture
        def storage(self, server):
            storage = MyStorage(PluginArgs("test", "", Path("/nowhere"), {MySettings: …}))
            yield storage
            storage.close()

        def make_unreachable(self):
            return MyStorage(…)  # pointed at a port where nobody listens
"""

from __future__ import annotations

import hashlib
import io
import secrets
import threading
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from the0.errors import InvalidInput, NotFound, Unavailable
from the0.plugin.interfaces import ObjectInfo, Storage

LARGE = 20 << 20
_CLOCK_SKEW = timedelta(minutes=5)


class StorageConformance(ABC):
    """What every storage has to do. Each test uses a bucket of its own."""

    @pytest.fixture
    @abstractmethod
    def storage(self) -> Storage:
        """The plugin under test, connected to a real server that answers."""

    @abstractmethod
    def make_unreachable(self) -> Storage:
        """The plugin pointed at an address where nobody answers."""

    @pytest.fixture
    def bucket(self, storage: Storage) -> str:
        name = f"conformance-{secrets.token_hex(4)}"
        storage.ensure_bucket(name)
        return name

    def test_ping_answers(self, storage: Storage) -> None:
        storage.ping()

    def test_a_bucket_may_be_ensured_twice(self, storage: Storage, bucket: str) -> None:
        put(storage, bucket, "kept", b"x")
        storage.ensure_bucket(bucket)
        assert get(storage, bucket, "kept") == b"x"

    @pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 4096])
    def test_an_object_comes_back_as_it_was(
        self, storage: Storage, bucket: str, content: bytes
    ) -> None:
        put(storage, bucket, "folder/object", content)
        assert get(storage, bucket, "folder/object") == content
        assert storage.head(bucket, "folder/object").size == len(content)

    def test_a_large_object_comes_back_in_pieces(self, storage: Storage, bucket: str) -> None:
        body = _Pattern(LARGE)
        storage.put(bucket, "large", body, LARGE)
        digest, size = hashlib.sha256(), 0
        with storage.open(bucket, "large") as found:
            assert found.info.size == LARGE
            while piece := found.read(1 << 16):
                assert len(piece) <= 1 << 16
                digest.update(piece)
                size += len(piece)
        assert (size, digest.digest()) == (LARGE, body.digest.digest())

    def test_a_large_object_is_not_read_at_once(self, storage: Storage, bucket: str) -> None:
        body = _Pattern(LARGE)
        storage.put(bucket, "large", body, LARGE)
        assert body.largest_read < LARGE

    def test_metadata_comes_back(self, storage: Storage, bucket: str) -> None:
        metadata = {"the0-generation": "a" * 32, "the0-tree": "b" * 64}
        put(storage, bucket, "object", b"x", metadata)
        assert metadata.items() <= storage.head(bucket, "object").metadata.items()
        with storage.open(bucket, "object") as found:
            assert metadata.items() <= found.info.metadata.items()

    def test_metadata_of_a_large_object_comes_back(self, storage: Storage, bucket: str) -> None:
        storage.put(bucket, "large", _Pattern(LARGE), LARGE, metadata={"the0-tree": "c" * 64})
        assert storage.head(bucket, "large").metadata.get("the0-tree") == "c" * 64

    def test_a_put_replaces_content_and_metadata(self, storage: Storage, bucket: str) -> None:
        put(storage, bucket, "object", b"old and longer", {"the0-tree": "old", "the0-more": "1"})
        put(storage, bucket, "object", b"new", {"the0-tree": "new"})
        found = storage.head(bucket, "object")
        assert get(storage, bucket, "object") == b"new"
        assert found.metadata.get("the0-tree") == "new"
        assert "the0-more" not in found.metadata

    def test_the_etag_tells_contents_apart(self, storage: Storage, bucket: str) -> None:
        first = put(storage, bucket, "object", b"one")
        assert storage.head(bucket, "object").etag == first.etag
        second = put(storage, bucket, "object", b"two")
        assert first.etag != second.etag == storage.head(bucket, "object").etag

    def test_the_time_of_change_is_utc(self, storage: Storage, bucket: str) -> None:
        put(storage, bucket, "object", b"x")
        assert abs(datetime.now(UTC) - storage.head(bucket, "object").modified) < _CLOCK_SKEW

    def test_what_is_absent_is_certainly_absent(self, storage: Storage, bucket: str) -> None:
        with pytest.raises(NotFound):
            storage.head(bucket, "nothing")
        with pytest.raises(NotFound):
            storage.open(bucket, "nothing")

    def test_a_missing_bucket_is_no_missing_object(self, storage: Storage) -> None:
        with pytest.raises(Unavailable, match="never-made"):
            storage.head("never-made", "object")
        with pytest.raises(Unavailable, match="never-made"):
            storage.open("never-made", "object")
        with pytest.raises(Unavailable, match="never-made"):
            put(storage, "never-made", "object", b"x")
        with pytest.raises(Unavailable, match="never-made"):
            list(storage.list("never-made", ""))

    @pytest.mark.parametrize("size", [10, LARGE])
    def test_a_short_body_replaces_nothing(self, storage: Storage, bucket: str, size: int) -> None:
        put(storage, bucket, "object", b"good", {"the0-tree": "good"})
        with pytest.raises(InvalidInput):
            storage.put(bucket, "object", _Pattern(size - 1), size)
        assert get(storage, bucket, "object") == b"good"
        assert storage.head(bucket, "object").metadata.get("the0-tree") == "good"

    def test_a_body_that_fails_replaces_nothing(self, storage: Storage, bucket: str) -> None:
        put(storage, bucket, "object", b"good")
        with pytest.raises(Unavailable):
            storage.put(bucket, "object", _Failing(LARGE), LARGE)
        assert get(storage, bucket, "object") == b"good"

    def test_only_the_named_size_is_stored(self, storage: Storage, bucket: str) -> None:
        storage.put(bucket, "object", io.BytesIO(b"12345678"), 3)
        assert get(storage, bucket, "object") == b"123"

    def test_delete_is_final_and_may_be_repeated(self, storage: Storage, bucket: str) -> None:
        put(storage, bucket, "object", b"x")
        storage.delete(bucket, "object")
        storage.delete(bucket, "object")
        with pytest.raises(NotFound):
            storage.head(bucket, "object")

    def test_list_gives_keys_below_the_prefix_in_order(self, storage: Storage, bucket: str) -> None:
        names = ("logs/a/2", "logs/a/1", "logs/ab/1", "logs/a-b/1", "other")
        for name in names:
            put(storage, bucket, name, name.encode())
        assert [one.key for one in storage.list(bucket, "logs/a/")] == ["logs/a/1", "logs/a/2"]
        assert [one.key for one in storage.list(bucket, "")] == sorted(names)
        assert [one.size for one in storage.list(bucket, "other")] == [len("other")]
        assert list(storage.list(bucket, "none")) == []

    @pytest.mark.parametrize("key", ["with space/ü/日本", "a+b&c=d?e#f", "~!'()*@,;:$"])
    def test_any_readable_key_is_taken_as_it_is(
        self, storage: Storage, bucket: str, key: str
    ) -> None:
        put(storage, bucket, key, b"x")
        assert get(storage, bucket, key) == b"x"
        assert [one.key for one in storage.list(bucket, "")] == [key]

    def test_readers_never_see_half_of_a_put(self, storage: Storage, bucket: str) -> None:
        contents = [bytes([letter]) * (1 << 20) for letter in b"ab"]
        put(storage, bucket, "object", contents[0])
        done = threading.Event()

        def read_on() -> None:
            while not done.is_set():
                assert get(storage, bucket, "object") in contents

        with ThreadPoolExecutor(1) as pool:
            reader = pool.submit(read_on)
            for turn in range(20):
                put(storage, bucket, "object", contents[turn % 2])
            done.set()
            reader.result()

    def test_calls_may_come_from_several_threads(self, storage: Storage, bucket: str) -> None:
        def round_trip(number: int) -> bool:
            body = str(number).encode() * 1000
            put(storage, bucket, f"object-{number}", body)
            return get(storage, bucket, f"object-{number}") == body

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(round_trip, range(24)))

    def test_no_answer_is_never_a_certain_one(self) -> None:
        storage = self.make_unreachable()
        try:
            for call in (
                storage.ping,
                lambda: storage.ensure_bucket("bucket"),
                lambda: storage.head("bucket", "key"),
                lambda: storage.open("bucket", "key"),
                lambda: storage.delete("bucket", "key"),
                lambda: put(storage, "bucket", "key", b"x"),
                lambda: list(storage.list("bucket", "")),
            ):
                with pytest.raises(Unavailable):
                    call()
        finally:
            storage.close()


def put(
    storage: Storage,
    bucket: str,
    key: str,
    content: bytes,
    metadata: dict[str, str] | None = None,
) -> ObjectInfo:
    """Store `content` whole."""
    return storage.put(bucket, key, io.BytesIO(content), len(content), metadata=metadata)


def get(storage: Storage, bucket: str, key: str) -> bytes:
    """The whole content of an object."""
    with storage.open(bucket, key) as found:
        return found.read()


class _Pattern(io.BytesIO):
    """`size` bytes that never exist at once; notes what was asked of it."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.left = size
        self.digest = hashlib.sha256()
        self.largest_read = 0
        self._piece = secrets.token_bytes(1 << 16)

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = self.left
        self.largest_read = max(self.largest_read, size)
        data = (self._piece * (size // len(self._piece) + 1))[: min(size, self.left)]
        self.left -= len(data)
        self.digest.update(data)
        return data


class _Failing(_Pattern):
    """A body whose source breaks half-way."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._size = size

    def read(self, size: int | None = -1, /) -> bytes:
        if self.left < self._size / 2:
            raise OSError("the disk is gone")
        return super().read(size)
