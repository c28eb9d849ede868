"""Logs through the control API: the spool on disk, days in a real store, and following."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest_asyncio

from tests.support.api import ApiHost, api_host, instance
from the0.api.logs import with_heartbeat
from the0.storage.keys import log_key
from the0.storage.log_lines import parse_batch
from the0.storage.log_spool import LogSpool
from the0.storage.logs import LogStore
from the0.testing.servers import S3Server, Server

LOGS = "/api/v1/bots/one/logs"


@pytest_asyncio.fixture
async def host(tmp_path: Path, mongod: Server, object_store: S3Server) -> AsyncIterator[ApiHost]:
    async with api_host(tmp_path, mongod, object_store) as found:
        await found.deploy_code()
        await found.deploy_bot(instance(), id="one")
        yield found


class Writer:
    """Writes lines into the host's spool, as the gateway does."""

    def __init__(self, host: ApiHost) -> None:
        self._spool = LogSpool(host.settings.state_dir.spool, 1 << 20)
        self._sequence = 0

    def write(self, *lines: str) -> None:
        now = datetime.now(UTC)
        records = []
        for line in lines:
            self._sequence += 1
            text = base64.b64encode(line.encode()).decode()
            records.append([self._sequence, int(now.timestamp() * 1e9), "stdout", text, False])
        batch = parse_batch({"epoch": "0" * 32, "records": records})
        self._spool.bot("one").append(batch, now)


def messages(answer: httpx.Response) -> list[str]:
    return [json.loads(line)["message"] for line in answer.text.splitlines()]


async def test_the_last_lines_come_from_the_spool(host: ApiHost) -> None:
    assert (await host.http.get(LOGS)).text == ""
    Writer(host).write(*(f"line {n}" for n in range(5)))
    answer = await host.http.get(LOGS, params={"lines": 2})
    assert messages(answer) == ["line 3", "line 4"]
    assert messages(await host.http.get(LOGS, params={"lines": 0})) == []
    today = f"{datetime.now(UTC):%Y%m%d}"
    assert (await host.http.get(f"{LOGS}/days")).json() == {"days": [today]}


async def test_an_unknown_bot_and_a_day_without_a_log_are_not_found(host: ApiHost) -> None:
    assert (await host.http.get("/api/v1/bots/nobody/logs")).status_code == 404
    assert (await host.http.get(LOGS, params={"date": "20200101"})).status_code == 404
    assert (await host.http.get(LOGS, params={"date": "20200199"})).status_code == 400


async def test_a_day_comes_from_storage(host: ApiHost) -> None:
    bucket = host.settings.storage.logs_bucket
    await asyncio.to_thread(host.storage.ensure_bucket, bucket)
    day = b"".join(b'{"timestamp":"t","message":"old %d"}\n' % n for n in range(3))
    store = LogStore(host.storage, bucket)
    await asyncio.to_thread(store.put, "one", "20200101", io.BytesIO(day), len(day))
    answer = await host.http.get(LOGS, params={"date": "20200101", "lines": 2})
    assert messages(answer) == ["old 1", "old 2"]
    refused = await host.http.get(LOGS, params={"date": "20200101", "follow": "true"})
    assert refused.status_code == 400
    await asyncio.to_thread(host.storage.delete, bucket, log_key("one", "20200101"))


async def test_following_gives_the_last_lines_and_then_what_comes(host: ApiHost) -> None:
    writer = Writer(host)
    writer.write("before")
    params = {"follow": "true", "lines": "10"}
    async with host.http.stream("GET", LOGS, params=params) as answer:
        lines = answer.aiter_lines()
        assert json.loads(await anext(lines))["message"] == "before"
        writer.write("after")
        assert json.loads(await asyncio.wait_for(anext(lines), 10))["message"] == "after"


async def test_silence_is_filled_with_empty_lines() -> None:
    release = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        yield "first"
        await release.wait()
        yield "last"

    lines = with_heartbeat(source(), 0.05, asyncio.Event())
    assert [await anext(lines), await anext(lines)] == ["first", ""]
    release.set()
    assert [line async for line in lines if line] == ["last"]


async def test_followers_are_let_go_when_the_api_ends() -> None:
    closing = asyncio.Event()

    async def silent() -> AsyncIterator[str]:
        await asyncio.Event().wait()
        yield ""

    lines = with_heartbeat(silent(), 600, closing)
    waiting = asyncio.create_task(anext(lines, "ended"))
    closing.set()
    assert await asyncio.wait_for(waiting, 10) == "ended"


async def test_the_spool_is_readable_while_storage_is_down(
    host: ApiHost, object_store: S3Server
) -> None:
    Writer(host).write("here")
    object_store.stop()
    try:
        assert messages(await host.http.get(LOGS)) == ["here"]
    finally:
        object_store.restart()
