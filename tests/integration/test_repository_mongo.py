"""The repository against a real server of the MongoDB protocol, killed and frozen on the way."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import Decimal128, ObjectId
from pymongo import MongoClient

from the0.bot_events import BotEvent, parse_event
from the0.errors import Conflict, InvalidDocument, InvalidSettings, NotFound, Unavailable
from the0.models import BotType
from the0.repository import EventOutcome, Repository
from the0.settings import MongoSettings
from the0.testing.servers import Server, mongo_server
from the0.values import to_json

REALTIME = BotType.REALTIME
TIMEOUT_SEC = 1.0
KILL_ROUNDS = 50 if os.environ.get("THE0_SOAK") else 3
CUSTOM = {"version": "1", "filePath": "u/b/1", "updatedAt": "2026-01-01T00:00:00Z"}


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with mongo_server(tmp_path_factory.mktemp("mongo")) as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    """The module's server, emptied."""
    with MongoClient[dict[str, Any]](shared_server.url) as client:
        for database in ("bot_runner", "bot_scheduler", "the0"):
            client.drop_database(database)
    return shared_server


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, to be killed and frozen."""
    with mongo_server(tmp_path / "mongo") as server:
        yield server


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[Repository]:
    repository = Repository(MongoSettings(uri=server.url, timeout_sec=TIMEOUT_SEC))
    try:
        yield repository
    finally:
        await repository.close()


def document(bot_id: str, **config: Any) -> dict[str, Any]:
    return {"id": bot_id, "config": config, "custom": CUSTOM}


def event(action: str, bot_id: str, updated: datetime | None, **config: Any) -> BotEvent:
    custom = {"version": "1"} | ({"updatedAt": updated.isoformat()} if updated else {})
    payload = {"id": bot_id, "config": config, "custom": custom}
    return parse_event(f"the0.bot.{action}", json.dumps(payload).encode())


async def ids(repository: Repository) -> set[str]:
    return {raw.decode()["id"] for raw in await repository.desired(REALTIME)}


async def test_documents_keep_their_exact_values(server: Server) -> None:
    config = {"big": 10**33, "long": 2**62, "dotted.key": {"$odd": [1.5, None, True]}}
    async with connected(server) as repository:
        await repository.make_bot_indexes()
        await repository.upsert_bot(REALTIME, document("ü/1", **config))
        stored = await repository.get_bot(REALTIME, "ü/1")
        raw = await repository.desired(REALTIME)
        again = await repository.desired(REALTIME)
    assert stored is not None
    assert to_json(stored["config"]) == config
    assert raw == again
    assert raw[0].decode() == stored


async def test_both_forms_of_an_id_are_found(server: Server) -> None:
    async with connected(server) as repository:
        bots = repository.connection.bots(REALTIME)
        await bots.insert_many(
            [
                {"_id": "only-_id", "config": {}},
                {"_id": ObjectId(), "id": "only-id", "config": {}},
                {"_id": "not its id", "id": "real", "config": {}},
            ]
        )
        for bot_id in ("only-_id", "only-id", "real"):
            assert await repository.get_bot(REALTIME, bot_id) is not None
            await repository.upsert_bot(REALTIME, document(bot_id, changed=True))
        assert await repository.get_bot(REALTIME, "not its id") is None
        assert await repository.get_bot(BotType.SCHEDULED, "real") is None
        assert len(await repository.desired(REALTIME)) == 3


async def test_an_upsert_keeps_what_it_does_not_name(server: Server) -> None:
    async with connected(server) as repository:
        old = {"_id": "a", "id": "a", "enabled": False, "segment_id": 7, "config": {"x": 1}}
        await repository.connection.bots(REALTIME).insert_one(old)
        await repository.upsert_bot(REALTIME, document("a", y=2))
        assert await repository.get_bot(REALTIME, "a") == old | {
            "config": {"y": 2},
            "custom": CUSTOM,
        }


async def test_enabling_reaches_into_the_config(server: Server) -> None:
    async with connected(server) as repository:
        await repository.upsert_bot(REALTIME, document("a", enabled="false"))
        await repository.set_enabled(REALTIME, "a", True)
        stored = await repository.get_bot(REALTIME, "a")
        assert stored is not None
        assert (stored["enabled"], stored["config"]["enabled"]) == (True, True)
        await repository.set_enabled(REALTIME, "a", False)
        stored = await repository.get_bot(REALTIME, "a")
        assert stored is not None
        assert stored["enabled"] is False
        with pytest.raises(NotFound, match="nobody"):
            await repository.set_enabled(REALTIME, "nobody", True)


async def test_events_are_applied_by_the_contract(server: Server) -> None:
    old, new = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    async with connected(server) as repository:

        async def apply(*args: Any, **config: Any) -> EventOutcome:
            return await repository.apply_event(REALTIME, event(*args, **config))

        assert await apply("updated", "a", old, v=1) is EventOutcome.CREATED
        assert await apply("created", "a", new, v=2) is EventOutcome.UNCHANGED
        assert await apply("updated", "a", new, v=2) is EventOutcome.UPDATED
        assert await apply("updated", "a", new, v=2) is EventOutcome.UNCHANGED
        assert await apply("updated", "a", old, v=3) is EventOutcome.STALE
        assert await apply("deleted", "a", new) is EventOutcome.DELETED
        assert await apply("deleted", "nobody", None) is EventOutcome.UNCHANGED
        assert await ids(repository) == set()
        assert await apply("updated", "a", new, v=2) is EventOutcome.STALE
        later = datetime.now(UTC) + timedelta(seconds=1)
        assert await apply("created", "a", later, v=4) is EventOutcome.CREATED
        assert await ids(repository) == {"a"}


async def test_a_deletion_is_remembered_for_a_day(server: Server) -> None:
    async with connected(server) as repository:
        await repository.upsert_bot(REALTIME, document("a"))
        assert await repository.delete_bot(REALTIME, "a")
        assert not await repository.delete_bot(REALTIME, "a")
        stale = event("created", "a", datetime(2026, 1, 1, tzinfo=UTC))
        assert await repository.apply_event(REALTIME, stale) is EventOutcome.STALE
        await repository.connection.records("tombstones").update_many(
            {}, {"$set": {"recorded_at": datetime.now(UTC) - timedelta(hours=25)}}
        )
        assert await repository.apply_event(REALTIME, stale) is EventOutcome.CREATED


async def test_an_older_deletion_does_not_bring_back_what_a_newer_one_took(server: Server) -> None:
    async with connected(server) as repository:
        now = datetime.now(UTC)
        assert not await repository.delete_bot(REALTIME, "a")
        late = replace(event("deleted", "a", None), at=now - timedelta(hours=1))
        assert await repository.apply_event(REALTIME, late) is EventOutcome.UNCHANGED
        between = event("updated", "a", now - timedelta(minutes=50))
        assert await repository.apply_event(REALTIME, between) is EventOutcome.STALE


async def test_all_documents_of_an_id_are_deleted(server: Server) -> None:
    async with connected(server) as repository:
        await repository.connection.bots(REALTIME).insert_many(
            [{"_id": "a", "config": {}}, {"_id": ObjectId(), "id": "a"}, {"_id": "b", "id": "a"}]
        )
        assert await repository.delete_bot(REALTIME, "a")
        assert await repository.desired(REALTIME) == []


async def test_writers_at_the_same_time_make_one_document(server: Server) -> None:
    async with connected(server) as one, connected(server) as two:
        await asyncio.gather(
            *(
                repository.upsert_bot(REALTIME, document("a", n=n))
                for n in range(10)
                for repository in (one, two)
            )
        )
        assert len(await one.desired(REALTIME)) == 1


async def test_an_installation_belongs_to_one_engine(server: Server, tmp_path: Path) -> None:
    async with connected(server) as one, connected(server) as two:
        assert await one.installation("the0") is None
        claims = await asyncio.gather(
            *(r.claim_installation("the0", "engine-1", tmp_path) for r in (one, two) * 3)
        )
        assert len(set(claims)) == 1
        assert await one.installation("the0") == claims[0]
        with pytest.raises(Conflict, match="engine-1"):
            await two.claim_installation("the0", "engine-2", tmp_path)
        other = await two.claim_installation("other", "engine-2", tmp_path)
        assert other != claims[0]
        (known,) = await one.other_installations("other")
        assert (known.instance, known.id) == ("the0", claims[0])
        assert (known.engine, known.state_dir) == ("engine-1", tmp_path)


async def test_status_records(server: Server) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    async with connected(server) as repository:
        await repository.save_status("i", "a", {"restarts": 1, "since": now, "big": 10**20})
        await repository.set_state_choice("i", "a", "local")
        await repository.set_state_choice("i", "b", "stored")
        await repository.save_status("other", "a", {"restarts": 9})
        big = Decimal128(str(10**20))
        assert await repository.statuses("i") == {"a": {"restarts": 1, "since": now, "big": big}}
        await repository.save_status("i", "a", {"restarts": 2})
        assert await repository.state_choice("i", "a") == "local"
        await repository.clear_state_choice("i", "a")
        assert await repository.state_choice("i", "a") is None
        assert await repository.state_choice("i", "b") == "stored"
        await repository.delete_status("i", "a")
        assert await repository.statuses("i") == {}


async def test_versions_of_custom_bots_never_change(server: Server) -> None:
    async with connected(server) as repository:
        for version in ("1.9.0", "1.10.0", "1.10.0-rc1"):
            await repository.put_custom_bot({"name": "b", "version": version, "sha256": "x"})
        await repository.put_custom_bot({"name": "b", "version": "1.9.0", "sha256": "x"})
        with pytest.raises(Conflict, match=r"1\.9\.0"):
            await repository.put_custom_bot({"name": "b", "version": "1.9.0", "sha256": "y"})
        newest = await repository.get_custom_bot("b")
        assert newest == {"name": "b", "version": "1.10.0", "sha256": "x"}
        assert await repository.get_custom_bot("b", "2.0.0") is None
        listed = [bot["version"] for bot in await repository.list_custom_bots()]
        assert listed == ["1.9.0", "1.10.0-rc1", "1.10.0"]


@pytest.mark.parametrize("config", [{"a": float("nan")}, {"a": 10**34}, {"a": "\ud800"}])
async def test_what_cannot_be_stored_is_refused_by_path(
    server: Server, config: dict[str, Any]
) -> None:
    async with connected(server) as repository:
        with pytest.raises(InvalidDocument, match=r"document\.config\.a"):
            await repository.upsert_bot(REALTIME, document("a", **config))
        assert await ids(repository) == set()


async def test_a_document_above_the_size_limit_is_refused(server: Server) -> None:
    async with connected(server) as repository:
        with pytest.raises(InvalidDocument, match="16 MiB"):
            await repository.upsert_bot(REALTIME, document("a", text="x" * 17_000_000))


async def test_a_server_that_hangs_or_dies_is_unavailable_and_then_back(victim: Server) -> None:
    async with connected(victim) as repository:
        await repository.upsert_bot(REALTIME, document("a"))
        calls = (
            repository.ping,
            lambda: repository.desired(REALTIME),
            lambda: repository.get_bot(REALTIME, "a"),
            lambda: repository.upsert_bot(REALTIME, document("a")),
        )
        for call in calls:
            victim.freeze()
            began = time.monotonic()
            with pytest.raises(Unavailable):
                await call()
            assert time.monotonic() - began < TIMEOUT_SEC * 5
            victim.thaw()
            assert await ids(repository) == {"a"}
        victim.kill()
        with pytest.raises(Unavailable, match="did not answer"):
            await repository.get_bot(REALTIME, "a")
        victim.start()
        assert await ids(repository) == {"a"}


async def test_nothing_acknowledged_is_lost_when_the_database_is_killed(victim: Server) -> None:
    """Upserts, events, claims of all writers up to the moment of kill -9."""
    acknowledged: set[str] = set()

    async def write(repository: Repository, round_: int) -> None:
        for number in range(10_000):
            bot_id = f"{round_}-{number}"
            await repository.upsert_bot(REALTIME, document(bot_id))
            acknowledged.add(bot_id)

    for round_ in range(KILL_ROUNDS):
        async with connected(victim) as repository:
            writer = asyncio.create_task(write(repository, round_))
            target = len(acknowledged) + 5
            while len(acknowledged) < target and not writer.done():  # noqa: ASYNC110
                await asyncio.sleep(0)
            victim.kill()
            with pytest.raises(Unavailable):
                await writer
            victim.start()
            assert acknowledged <= await ids(repository)


def test_a_wrong_connection_string_is_refused_without_showing_it() -> None:
    with pytest.raises(InvalidSettings) as refused:
        Repository(MongoSettings(uri="mongodb://user:hunter2@host:notaport/"))
    assert "mongo.uri" in refused.value.message
    assert "hunter2" not in refused.value.message
