"""State through the gateway, with a real store behind a proxy that can hang and cut."""

from __future__ import annotations

import asyncio
import dataclasses
import http.client
import io
import secrets
import socket

import pytest

from tests.support.gateway import Client, Site, threaded
from the0.testing.faults import FaultProxy
from the0.testing.servers import S3Server
from the0.testing.storage import get

STATE = "bot-state"


def generation() -> str:
    return secrets.token_hex(16)


def bot_of(site: Site, client: Client) -> str:
    launch = site.launches.read(client.launch)
    assert launch is not None
    return launch.bot_id


async def test_absent_state_is_a_certain_answer(client: Client) -> None:
    assert (await threaded(client.ask, "GET", "/v1/state")).status == 204
    assert (await threaded(client.ask, "HEAD", "/v1/state")).status == 204


@pytest.mark.parametrize("size", [0, 1, 3_000_000, 15_000_000])
async def test_a_snapshot_comes_back_as_it_was(client: Client, size: int) -> None:
    body, first = secrets.token_bytes(size), generation()
    stored = await threaded(client.put_state, body, first)
    assert (stored.status, stored.json) == (200, {"generation": first})
    found = await threaded(client.ask, "GET", "/v1/state")
    assert found.body == body
    assert found.headers["x-the0-generation"] == first
    looked_up = await threaded(client.ask, "HEAD", "/v1/state")
    assert looked_up.headers["x-the0-tree"] == found.headers["x-the0-tree"]
    assert looked_up.headers["content-length"] == str(size)


async def test_a_snapshot_replaces_only_the_one_it_follows(site: Site, client: Client) -> None:
    first, second, third = generation(), generation(), generation()
    await threaded(client.put_state, b"1", first)
    newer = site.launch(bot_of(site, client))
    refused = await threaded(newer.put_state, b"2", second, base="")
    assert (refused.status, refused.code) == (409, "conflict")
    assert (await threaded(newer.put_state, b"2", second, base=first)).status == 200
    again = await threaded(newer.put_state, b"2", second, base=first)
    assert again.status == 200, "the answer to the first try may have been lost"
    assert (await threaded(client.put_state, b"3", third, base=first)).status == 409
    assert (await threaded(client.ask, "GET", "/v1/state")).body == b"2"


async def test_what_the_same_launch_stored_is_its_own_to_replace(client: Client) -> None:
    """Its agent gave up on an answer and made a newer snapshot, but the put had worked."""
    await threaded(client.put_state, b"1", first := generation())
    await threaded(client.put_state, b"2", generation(), first)
    assert (await threaded(client.put_state, b"3", generation(), first)).status == 200
    assert (await threaded(client.ask, "GET", "/v1/state")).body == b"3"


async def test_a_foreign_object_has_its_etag_as_generation(site: Site, client: Client) -> None:
    bot_id = bot_of(site, client)
    key = f"{bot_id}/state.tar.gz"
    info = site.storage.put(STATE, key, io.BytesIO(b"old"), 3)
    found = await threaded(client.ask, "GET", "/v1/state")
    base = found.headers["x-the0-generation"]
    assert (base, found.headers["x-the0-tree"]) == (f"etag:{info.etag}", "")
    assert (await threaded(client.put_state, b"new", generation(), base=base)).status == 200


async def test_a_superseded_launch_stores_nothing(site: Site, client: Client) -> None:
    bot_id = bot_of(site, client)
    newer = site.launch(bot_id)
    site.launches.supersede(bot_id, by=newer.launch)
    refused = await threaded(client.put_state, b"late", generation())
    assert (refused.status, refused.code) == (409, "superseded")
    assert (await threaded(client.post_logs, 0, [b"still heard"])).status == 200
    assert (await threaded(newer.put_state, b"new", generation())).status == 200


async def test_a_launch_superseded_during_its_upload_stores_nothing(
    site: Site, client: Client, proxy: FaultProxy
) -> None:
    bot_id = bot_of(site, client)
    proxy.delay(0.3)
    late = asyncio.create_task(threaded(client.put_state, b"late" * 300_000, generation()))
    launch = site.launches.read(client.launch)
    assert launch is not None
    site.launches.write(dataclasses.replace(launch, superseded_by="f" * 32))
    assert (await late).code == "superseded"
    proxy.heal()
    assert list(site.storage.list(STATE, f"{bot_id}/")) == []


async def test_a_launch_without_the_right_stores_nothing(site: Site, client: Client) -> None:
    reader = site.launch("reader", writes_state=False)
    refused = await threaded(reader.put_state, b"x", generation())
    assert (refused.status, refused.code) == (409, "read_only")


async def test_a_body_that_is_not_what_was_announced_is_refused(client: Client) -> None:
    await threaded(client.put_state, b"good", first := generation())
    wrong = await threaded(
        client.put_state, b"bad", generation(), first, **{"X-The0-Sha256": "0" * 64}
    )
    assert (wrong.status, wrong.code) == (422, "checksum")
    for header in ("X-The0-Generation", "X-The0-Base", "X-The0-Tree", "X-The0-Sha256"):
        bad = await threaded(client.put_state, b"bad", generation(), first, **{header: "x y"})
        assert (bad.status, bad.code) == (400, "invalid")
    assert (await threaded(client.ask, "GET", "/v1/state")).body == b"good"


async def test_a_body_that_breaks_off_stores_nothing(client: Client) -> None:
    await threaded(client.put_state, b"good", first := generation())

    def half() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(client.path))
            connection.sendall(
                b"PUT /v1/state HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
                + f"Authorization: Bearer {client.launch}.{client.token}\r\n".encode()
                + f"X-The0-Generation: {generation()}\r\nX-The0-Base: {first}\r\n".encode()
                + f"X-The0-Tree: {'0' * 64}\r\nX-The0-Sha256: {'0' * 64}\r\n\r\n".encode()
                + b"x" * 500_000
            )

    await threaded(half)
    assert (await threaded(client.ask, "GET", "/v1/state")).body == b"good"


async def test_too_large_a_state_is_refused_before_it_is_sent(client: Client) -> None:
    def announce() -> bytes:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(30)
            connection.connect(str(client.path))
            connection.sendall(
                b"PUT /v1/state HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n"
                + f"Authorization: Bearer {client.launch}.{client.token}\r\n".encode()
                + f"X-The0-Generation: {generation()}\r\nX-The0-Base: \r\n".encode()
                + f"X-The0-Tree: {'0' * 64}\r\nX-The0-Sha256: {'0' * 64}\r\n\r\n".encode()
            )
            return connection.recv(1000)

    assert b" 413 " in await threaded(announce)


@pytest.mark.parametrize("fault", ["hang", "reset"])
async def test_an_unreachable_store_is_unknown_and_loses_nothing(
    client: Client, proxy: FaultProxy, fault: str
) -> None:
    await threaded(client.put_state, b"good", first := generation())
    getattr(proxy, fault)()
    for method, path in (("GET", "/v1/state"), ("HEAD", "/v1/state"), ("GET", "/v1/code")):
        answer = await threaded(client.ask, method, path)
        assert answer.status == 503
        assert answer.headers["retry-after"]
    refused = await threaded(client.put_state, b"new", second := generation(), first)
    assert (refused.status, refused.code) == (503, "unavailable")
    proxy.heal()
    assert (await threaded(client.ask, "GET", "/v1/state")).body == b"good"
    assert (await threaded(client.put_state, b"new", second, first)).status == 200


async def test_a_store_that_takes_half_keeps_the_old_state(
    client: Client, proxy: FaultProxy
) -> None:
    body = secrets.token_bytes(3_000_000)
    await threaded(client.put_state, body, first := generation())
    proxy.cut_requests(after=1_000_000)
    assert (await threaded(client.put_state, body[::-1], generation(), first)).status == 503
    proxy.heal()
    assert (await threaded(client.ask, "GET", "/v1/state")).body == body


async def test_a_store_that_sends_half_is_no_whole_answer(
    client: Client, proxy: FaultProxy
) -> None:
    body = secrets.token_bytes(3_000_000)
    await threaded(client.put_state, body, generation())
    proxy.cut_answers(after=1_000_000)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        await threaded(client.ask, "GET", "/v1/state")


async def test_a_put_that_takes_effect_late_does_not_win(
    site: Site, client: Client, server: S3Server
) -> None:
    """The store freezes with a whole request in its socket, and goes on after a newer one."""
    await threaded(client.put_state, b"1", first := generation())
    server.freeze()
    try:
        late = await threaded(client.put_state, b"2", generation(), first)
        assert late.status == 503
    finally:
        server.thaw()
    answer = await threaded(client.put_state, b"3", generation(), first)
    assert answer.status == 200
    await asyncio.sleep(1)
    assert get(site.storage, STATE, f"{bot_of(site, client)}/state.tar.gz") == b"3"
