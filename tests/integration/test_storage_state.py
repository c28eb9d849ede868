"""State, results and trash in a real store, and the store killed in the middle of puts."""

from __future__ import annotations

import io
import random
import secrets
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from the0_storage_minio import MinioSettings, MinioStorage

from the0.errors import Unavailable
from the0.plugin import PluginArgs, Storage
from the0.storage import keys
from the0.storage.results import ResultStore
from the0.storage.state import StateStore, StoredState
from the0.testing.servers import S3Server, s3_server

BUCKET = "bot-state"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture
def storage(server: S3Server) -> Iterator[Storage]:
    settings = MinioSettings(
        endpoint=server.endpoint,
        access_key=server.access_key,
        secret_key=server.secret_key,
        timeout_sec=5.0,
    )
    found = MinioStorage(PluginArgs("test", "", Path("/nowhere"), {MinioSettings: settings}))
    found.ensure_bucket(BUCKET)
    yield found
    found.close()


def put(store: StateStore, bot_id: str, content: bytes, generation: str) -> None:
    store.put(bot_id, io.BytesIO(content), StoredState(generation, "t" * 64, len(content)))


@pytest.mark.parametrize("bot_id", ["plain", "a/b", "..", "", "%41", "x" * 2000, "\ud800", "ü"])
def test_state_of_any_bot_comes_back(storage: Storage, bot_id: str) -> None:
    store = StateStore(storage, BUCKET)
    assert store.head(bot_id) is None
    assert store.open(bot_id) is None
    put(store, bot_id, b"content", "g1")
    assert store.head(bot_id) == StoredState("g1", "t" * 64, 7)
    found = store.open(bot_id)
    assert found is not None
    with found[1] as reader:
        assert (found[0], reader.read()) == (StoredState("g1", "t" * 64, 7), b"content")


def test_deleted_state_lies_in_the_trash_for_a_while(storage: Storage) -> None:
    store, now = StateStore(storage, BUCKET), datetime.now(UTC)
    put(store, "my/bot", b"precious", "g1")
    assert store.delete("my/bot", now)
    assert store.head("my/bot") is None
    assert not store.delete("my/bot", now)
    (kept,) = storage.list(BUCKET, keys.trash_prefix("my/bot"))
    with storage.open(BUCKET, kept.key) as found:
        assert found.read() == b"precious"
        assert found.info.metadata["the0-generation"] == "g1"
    assert store.empty_trash(older_than=now - timedelta(seconds=1)) == []
    assert store.empty_trash(older_than=now + timedelta(seconds=1)) == [kept.key]
    assert list(storage.list(BUCKET, keys.trash_prefix())) == []


def test_a_result_is_there_until_it_is_removed(storage: Storage) -> None:
    results = ResultStore(storage, BUCKET)
    results.put("bot", "query-1", b'{"a":1}')
    with storage.open(BUCKET, keys.result_key("bot", "query-1")) as found:
        assert found.read() == b'{"a":1}'
    for _ in range(2):
        results.remove("bot", "query-1")
        assert not list(storage.list(BUCKET, "bot/query-1/"))


def test_kills_of_the_store_lose_nothing_acknowledged(storage: Storage, server: S3Server) -> None:
    """Puts go on while the store is killed; afterwards each key takes puts again, and what is
    read is never older than the last acknowledged put."""
    store = StateStore(storage, BUCKET)
    for turn in range(8):
        bot_id, acked = f"killed-{turn}-{secrets.token_hex(4)}", 0
        alarm = threading.Timer(random.uniform(0.02, 0.1), server.kill)
        alarm.start()
        for number in range(1, 10_000):
            try:
                put(store, bot_id, b"%d" % number * 1000, f"{number:032d}")
            except Unavailable:
                break
            acked = number
        alarm.join()
        server.start()
        stored = store.head(bot_id)
        assert (0 if stored is None else int(stored.generation)) >= acked
        put(store, bot_id, b"again", "f" * 32)
        assert store.head(bot_id) == StoredState("f" * 32, "t" * 64, 5)
