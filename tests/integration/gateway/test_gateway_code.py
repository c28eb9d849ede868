"""Code archives through the gateway and its cache on disk."""

from __future__ import annotations

import asyncio
import hashlib
import io
import secrets
from collections.abc import Callable
from pathlib import Path

from tests.support.gateway import Site, threaded
from the0.testing.faults import FaultProxy

CODE = "custom-bots"


def upload(site: Site, key: str, size: int) -> bytes:
    content = secrets.token_bytes(size)
    site.storage.put(CODE, key, io.BytesIO(content), size)
    return content


def new_key() -> str:
    return f"user/bot/{secrets.token_hex(4)}"


def blobs(site: Site) -> list[Path]:
    return list((site.settings.state_dir.code_cache / "blobs").iterdir())


async def test_code_comes_with_its_digest(site: Site) -> None:
    content = upload(site, key := new_key(), 3_000_000)
    async with site.gateway():
        answer = await threaded(site.launch(code_key=key).ask, "GET", "/v1/code")
    assert answer.body == content
    assert answer.headers["x-the0-sha256"] == hashlib.sha256(content).hexdigest()


async def test_no_such_code_is_certain(site: Site) -> None:
    async with site.gateway():
        answer = await threaded(site.launch(code_key=new_key()).ask, "GET", "/v1/code")
    assert (answer.status, answer.code) == (404, "no_code")


async def test_cached_code_is_served_while_the_store_is_down(site: Site, proxy: FaultProxy) -> None:
    content = upload(site, key := new_key(), 100_000)
    async with site.gateway():
        bot, other = site.launch(code_key=key), site.launch(code_key=new_key())
        await threaded(bot.ask, "GET", "/v1/code")
        proxy.reset()
        assert (await threaded(bot.ask, "GET", "/v1/code")).body == content
        assert (await threaded(other.ask, "GET", "/v1/code")).status == 503


async def test_an_object_that_was_replaced_is_fetched_again(site: Site) -> None:
    upload(site, key := new_key(), 1000)
    async with site.gateway():
        bot = site.launch(code_key=key)
        await threaded(bot.ask, "GET", "/v1/code")
        content = upload(site, key, 1000)
        assert (await threaded(bot.ask, "GET", "/v1/code")).body == content


async def test_a_broken_download_is_never_served(site: Site, proxy: FaultProxy) -> None:
    content = upload(site, key := new_key(), 3_000_000)
    async with site.gateway():
        bot = site.launch(code_key=key)
        proxy.cut_answers(after=1_000_000)
        assert (await threaded(bot.ask, "GET", "/v1/code")).status == 503
        assert blobs(site) == []
        proxy.heal()
        assert (await threaded(bot.ask, "GET", "/v1/code")).body == content


async def test_many_starts_at_once_cause_one_download(site: Site, proxy: FaultProxy) -> None:
    content = upload(site, key := new_key(), 3_000_000)
    async with site.gateway():
        sent = proxy.sent_to_clients
        answers = await asyncio.gather(
            *(threaded(site.launch(code_key=key).ask, "GET", "/v1/code") for _ in range(10))
        )
        assert all(one.body == content for one in answers)
        assert proxy.sent_to_clients - sent < 2 * len(content)


async def test_the_cache_has_a_bound(new_site: Callable[..., Site]) -> None:
    site = new_site(THE0_ARCHIVE__CODE_CACHE_MB="1")
    names = [new_key() for _ in range(4)]
    contents = [upload(site, key, 400_000) for key in names]
    async with site.gateway():
        for key, content in zip(names, contents, strict=True):
            answer = await threaded(site.launch(code_key=key).ask, "GET", "/v1/code")
            assert answer.body == content
        kept = {path.name for path in blobs(site)}
        assert kept == {hashlib.sha256(one).hexdigest() for one in contents[2:]}
        first = await threaded(site.launch(code_key=names[0]).ask, "GET", "/v1/code")
        assert first.body == contents[0]


async def test_too_large_an_archive_is_named(new_site: Callable[..., Site]) -> None:
    site = new_site(THE0_ARCHIVE__MAX_MB="1")
    upload(site, key := new_key(), 1_100_000)
    async with site.gateway():
        answer = await threaded(site.launch(code_key=key).ask, "GET", "/v1/code")
    assert (answer.status, answer.code) == (422, "invalid_archive")
    assert "archive.max_mb" in answer.json["error"]["message"]
