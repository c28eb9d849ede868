"""What queries are given of state: from this host's disk, never older than the store's."""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable
from pathlib import Path

from tests.support.gateway import Client, Site, threaded
from the0.storage.state import StateStore, StoredState
from the0.testing.faults import FaultProxy

MIB = 1 << 20


def store(site: Site, bot_id: str, body: bytes) -> str:
    """Put a snapshot; its generation."""
    generation = secrets.token_hex(16)
    states = StateStore(site.storage, site.settings.storage.state_bucket)
    states.put(bot_id, io.BytesIO(body), StoredState(generation, "t" * 64, len(body)))
    return generation


def copies(site: Site) -> list[Path]:
    folder = site.settings.state_dir.state_cache / "blobs"
    return list(folder.iterdir()) if folder.exists() else []


def new_query(site: Site) -> tuple[str, Client]:
    bot_id = f"asked-{secrets.token_hex(4)}"
    return bot_id, site.launch(bot_id, kind="query", writes_state=False)


async def test_a_copy_is_fetched_once_and_its_successor_at_once(site: Site) -> None:
    bot_id, query = new_query(site)
    async with site.gateway():
        assert (await threaded(query.ask, "GET", "/v1/state")).status == 204
        for body in (b"first", b"second"):
            generation = store(site, bot_id, body)
            for _ in range(2):
                found = await threaded(query.ask, "GET", "/v1/state")
                assert (found.body, found.headers["x-the0-generation"]) == (body, generation)
                assert found.headers["x-the0-tree"] == "t" * 64
    assert sorted(path.read_bytes() for path in copies(site)) == [b"first", b"second"]


async def test_the_copy_on_disk_is_what_is_sent(site: Site) -> None:
    bot_id, query = new_query(site)
    store(site, bot_id, b"stored")
    async with site.gateway():
        await threaded(query.ask, "GET", "/v1/state")
        (copy,) = copies(site)
        copy.write_bytes(b"cached")
        assert (await threaded(query.ask, "GET", "/v1/state")).body == b"cached"


async def test_the_same_content_stored_again_is_the_new_generation(site: Site) -> None:
    bot_id, query = new_query(site)
    async with site.gateway():
        for _ in range(2):
            generation = store(site, bot_id, b"same")
            found = await threaded(query.ask, "GET", "/v1/state")
            assert found.headers["x-the0-generation"] == generation
    assert len(copies(site)) == 1


async def test_a_copy_is_nothing_without_the_stores_word(site: Site, proxy: FaultProxy) -> None:
    bot_id, query = new_query(site)
    store(site, bot_id, b"stored")
    async with site.gateway():
        assert (await threaded(query.ask, "GET", "/v1/state")).status == 200
        proxy.reset()
        assert (await threaded(query.ask, "GET", "/v1/state")).status == 503


async def test_bots_are_given_what_the_store_has(site: Site) -> None:
    bot_id, _ = new_query(site)
    store(site, bot_id, b"stored")
    async with site.gateway():
        assert (await threaded(site.launch(bot_id).ask, "GET", "/v1/state")).body == b"stored"
    assert copies(site) == []


async def test_state_larger_than_the_cache_is_sent_all_the_same(
    new_site: Callable[..., Site],
) -> None:
    site = new_site(THE0_QUERY_POOL__STATE_CACHE_MB="1")
    bot_id, query = new_query(site)
    body = secrets.token_bytes(MIB + 1)
    store(site, bot_id, body)
    async with site.gateway():
        assert (await threaded(query.ask, "GET", "/v1/state")).body == body
    assert copies(site) == []


async def test_the_oldest_copies_make_room(
    new_site: Callable[..., Site],
) -> None:
    site = new_site(THE0_QUERY_POOL__STATE_CACHE_MB="1")
    async with site.gateway():
        for _ in range(3):
            bot_id, query = new_query(site)
            store(site, bot_id, secrets.token_bytes(MIB // 2))
            assert (await threaded(query.ask, "GET", "/v1/state")).status == 200
    assert sum(path.stat().st_size for path in copies(site)) <= MIB
