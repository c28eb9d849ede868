"""What was acknowledged is there, however the database dies right after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.api import ApiHost, api_host, instance
from tests.support.events import Event, event_stream, publish_kept
from tests.support.faults import ready
from tests.support.runner import Installation, bot_document, eventually
from tests.support.soak import scaled
from the0.models import BotType
from the0.testing.servers import Server, mongo_server, s3_server

ROUNDS = scaled(3, 50)
WRITERS = 4


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Server]:
    with mongo_server(tmp_path / "mongo") as server:
        yield server


@pytest_asyncio.fixture
async def host(tmp_path: Path, victim: Server) -> AsyncIterator[ApiHost]:
    with s3_server(tmp_path / "s3") as store:
        async with api_host(tmp_path, victim, store, {"THE0_MONGO__TIMEOUT_SEC": "1"}) as found:
            yield found


async def test_bots_deployed_by_the_api_outlive_kills_of_the_database(
    host: ApiHost, victim: Server
) -> None:
    await host.deploy_code()
    wanted: dict[str, dict[str, Any]] = {}
    for round_ in range(ROUNDS):
        target = len(wanted) + 8
        writers = [
            asyncio.create_task(write(host, f"{round_}-{n}", wanted)) for n in range(WRITERS)
        ]
        while len(wanted) < target:  # noqa: ASYNC110 - the kill is to follow at once
            await asyncio.sleep(0)
        victim.kill()
        await asyncio.gather(*writers)
        victim.start()
        found = await stored(host)
        assert {bot_id: found.get(bot_id) for bot_id in wanted} == wanted
    print(f"{ROUNDS} kills, {len(wanted)} bots acknowledged")


async def stored(host: ApiHost) -> dict[str, dict[str, Any]]:
    """What the database has of every bot, in the form of `wanted`."""
    documents = [one.decode() for one in await host.repository.desired(BotType.REALTIME)]
    return {
        one["id"]: {"amount": one["config"]["amount"], "enabled": one["enabled"]}
        for one in documents
    }


async def write(host: ApiHost, prefix: str, wanted: dict[str, dict[str, Any]]) -> None:
    """Deploy, update and disable bots until the database is gone. `wanted` gets what each bot has
    to be once that is acknowledged; the one of a failed request is left out, as nobody knows."""
    for number in range(10_000):
        bot_id = f"{prefix}-{number}"
        steps = [
            ("POST", "", {"id": bot_id, "config": instance(amount=1)}, (1, True)),
            ("PUT", f"/{bot_id}", {"config": instance(amount=2)}, (2, True)),
            ("POST", f"/{bot_id}/disable", None, (2, False)),
        ]
        for method, path, body, (amount, enabled) in steps:
            before = wanted.pop(bot_id, None)
            answer = await host.http.request(method, f"/api/v1/bots{path}", json=body)
            if answer.status_code not in (200, 201):
                assert answer.status_code == 503, (before, answer.text)
                return
            wanted[bot_id] = {"amount": amount, "enabled": enabled}


def test_events_are_taken_in_however_often_the_database_is_killed(site: Installation) -> None:
    """Events of a stream are acknowledged only once they are in the database."""
    site.settings |= {"RECONCILE_INTERVAL": "1h", "THE0_MONGO__TIMEOUT_SEC": "1"}
    published = 0
    with event_stream(site.services.nats.url):
        site.start_host()
        eventually(lambda: ready(site), "the runner is ready")
        for _ in range(ROUNDS):
            ids = [f"e{published + number}" for number in range(20)]
            publish_kept(site.services.nats.url, *(created_disabled(one) for one in ids))
            published += len(ids)
            eventually(lambda ids=ids: site.bots.find_one({"id": ids[0]}), "it began")
            site.services.mongo.kill()
            site.services.mongo.restart()
        expected = {f"e{number}" for number in range(published)}
        eventually(lambda: {one["id"] for one in site.bots.find()} >= expected, "all are there")


def created_disabled(bot_id: str) -> Event:
    return "the0.bot.created", {**bot_document(bot_id), "enabled": False}
