"""Which bot a query is about and where it listens, while containers come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from the0.config import Settings, load_settings
from the0.core.tracked import FLUSH_SPEC
from the0.errors import NotFound, The0Error, Unavailable
from the0.models import BotType, Container, ContainerState, Purpose
from the0.plugin.manager import PluginManager
from the0.queries import resolver
from the0.queries.http_client import Peer
from the0.queries.resolver import QueryResolver
from the0.repository import Repository
from the0.settings import CORE_SECTIONS


class World:
    """MongoDB and the engine, as the resolver sees them; `fault` is what the engine says."""

    def __init__(self) -> None:
        self.documents: dict[tuple[BotType, str], Any] = {}
        self.running: dict[str, str] = {}
        self.claimed = True
        self.mongo_fault: The0Error | None = None
        self.fault: The0Error | None = None
        self.looks = self.reads = 0

    def deploy(self, bot_id: str, kind: BotType = BotType.REALTIME, **entrypoints: str) -> None:
        about = {"entrypoints": {"bot": "main.py", "query": "query.py", **entrypoints}}
        custom = {"version": "1", "filePath": "a/b/1", "config": about}
        self.documents[kind, bot_id] = {"id": bot_id, "config": {}, "custom": custom}

    # --- MongoDB ---

    async def get_bot(self, kind: BotType, bot_id: str) -> Any:
        self.reads += 1
        if self.mongo_fault:
            raise self.mongo_fault
        return self.documents.get((kind, bot_id))

    async def installation(self, _: str) -> str | None:
        return "installation" if self.claimed else None

    # --- the engine ---

    def list(self) -> list[Container]:
        self.looks += 1
        if self.fault:
            raise self.fault
        found = [_container(bot_id, ref) for bot_id, ref in self.running.items()]
        ended = _container("b", "ended", state=ContainerState.EXITED)
        flush = _container("b", "stores what is left", spec_hash=FLUSH_SPEC)
        return [*found, ended, flush, _container("", "waits", purpose=Purpose.QUERY)]

    def address(self, ref: str, port: int) -> tuple[str, int]:
        if self.fault:
            raise self.fault
        if ref not in (*self.running.values(), "stores what is left"):
            raise NotFound(f"no container {ref}")
        return f"address of {ref}", port

    def close(self) -> None:
        """Nothing is open."""


def _container(bot_id: str, ref: str, **changes: Any) -> Container:
    given = {"name": ref, "type": BotType.REALTIME, "state": ContainerState.RUNNING, **changes}
    return Container(ref=ref, bot_id=bot_id, **given)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(CORE_SECTIONS, [], {"THE0_STATE_DIR": str(tmp_path)})


@pytest.fixture
def resolving(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], QueryResolver]:
    """Without waiting: each question is asked anew."""
    monkeypatch.setattr(resolver, "KNOWN_SEC", 0.0)
    monkeypatch.setattr(resolver, "LOOK_SEC", 0.0)
    plugins = SimpleNamespace(executors={"docker": lambda args: world})
    return lambda: QueryResolver(settings, cast(PluginManager, plugins), cast(Repository, world))


async def test_a_running_bot_is_found_at_its_address(
    world: World, resolving: Callable[[], QueryResolver]
) -> None:
    found = resolving()
    world.deploy("a")
    world.running["a"] = "one"
    for _ in range(3):
        assert (await found.find("a")).peer == Peer("one", "address of one", 9476)
    assert world.looks == 1
    world.running["a"] = "two"
    assert (await found.find("a")).peer == Peer("two", "address of two", 9476)
    del world.running["a"]
    assert (await found.find("a")).peer is None
    await found.close()


async def test_what_does_not_run_has_no_peer(
    world: World, resolving: Callable[[], QueryResolver]
) -> None:
    found = resolving()
    world.deploy("b")
    world.deploy("s", BotType.SCHEDULED)
    world.running["s"] = "its run"
    assert (await found.find("b")).peer is None
    scheduled = await found.find("s")
    assert (scheduled.peer, scheduled.bot.type) == (None, BotType.SCHEDULED)
    world.claimed = False
    fresh = resolving()
    assert (await fresh.find("b")).peer is None
    await found.close()
    await fresh.close()


async def test_unknown_bots_and_those_without_queries_are_not_found(
    world: World, resolving: Callable[[], QueryResolver]
) -> None:
    found = resolving()
    world.deploy("mute", query="")
    with pytest.raises(NotFound, match="no bot with the id 'x'"):
        await found.find("x")
    with pytest.raises(NotFound, match="no query entrypoint"):
        await found.find("mute")
    await found.close()


async def test_without_an_answer_it_is_unknown(
    world: World, resolving: Callable[[], QueryResolver]
) -> None:
    found = resolving()
    world.deploy("a")
    world.running["a"] = "one"
    await found.find("a")
    world.fault = Unavailable("the engine does not answer")
    with pytest.raises(Unavailable, match="the engine"):
        await found.find("a")
    world.fault = None
    world.mongo_fault = Unavailable("MongoDB does not answer")
    for bot_id in ("a", "x"):
        with pytest.raises(Unavailable, match="MongoDB"):
            await found.find(bot_id)
    world.mongo_fault = None
    assert (await found.find("a")).peer == Peer("one", "address of one", 9476)
    await found.close()


async def test_a_document_that_cannot_be_understood_shows_nothing_of_itself(
    world: World, resolving: Callable[[], QueryResolver]
) -> None:
    found = resolving()
    world.documents[BotType.REALTIME, "a"] = {"id": "a", "config": {"restart": "s3cret"}}
    with pytest.raises(Unavailable, match="cannot be understood") as refused:
        await found.find("a")
    assert "s3cret" not in refused.value.message
    await found.close()


async def test_a_hundred_questions_at_once_are_few(world: World, settings: Settings) -> None:
    plugins = SimpleNamespace(executors={"docker": lambda args: world})
    found = QueryResolver(settings, cast(PluginManager, plugins), cast(Repository, world))
    world.deploy("a")
    world.running["a"] = "one"
    peers = await asyncio.gather(*(found.find("a") for _ in range(100)))
    assert {one.peer for one in peers} == {Peer("one", "address of one", 9476)}
    assert (world.reads, world.looks) == (1, 1)
    await found.close()
