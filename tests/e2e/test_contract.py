"""What other services and the bots' code rely on, seen from their side: raw MongoDB documents, NATS
messages and S3 objects, with servers of others in containers and the real host between."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import docker
import nats as nats_client
import pytest
from minio import Minio
from pymongo import MongoClient

from tests.e2e.conftest import new_site
from tests.support.services import Service
from tests.support.site import BOTS, Site, eventually

BOT = "svc-1"
CODE_KEY = "somebody/counter/1.0.0"


class Outside:
    """Another service: it knows the contract and nothing else."""

    def __init__(self, mongo: Service, s3: Service, nats: Service) -> None:
        self.mongo = MongoClient[dict[str, Any]](mongo.url)
        self.store = Minio(s3.address, s3.access_key, s3.secret_key, secure=False)
        self.nats_url = nats.url

    def send(self, subject: str, message: dict[str, Any]) -> None:
        async def publish() -> None:
            connection = await nats_client.connect(self.nats_url)
            await connection.publish(subject, json.dumps(message).encode())
            await connection.drain()

        asyncio.run(publish())

    def hear(self, subject: str) -> str:
        """The next message on `subject`."""

        async def listen() -> str:
            connection = await nats_client.connect(self.nats_url)
            try:
                subscription = await connection.subscribe(subject)
                return (await subscription.next_msg(timeout=60)).data.decode()
            finally:
                await connection.close()

        return asyncio.run(listen())

    def upload_code(self) -> None:
        body = io.BytesIO()
        with zipfile.ZipFile(body, "w") as archive:
            archive.write(BOTS / "counter" / "main.py", "main.py")
        size = body.tell()
        body.seek(0)
        self.store.put_object("custom-bots", CODE_KEY, body, size)

    def read(self, bucket: str, key: str) -> bytes:
        answer = self.store.get_object(bucket, key)
        try:
            return answer.read()
        finally:
            answer.close()
            answer.release_conn()

    def keys(self, bucket: str) -> list[str]:
        return [one.object_name or "" for one in self.store.list_objects(bucket, recursive=True)]

    def document(self) -> dict[str, Any] | None:
        return self.mongo["bot_runner"]["bots"].find_one({"id": BOT})


def bot_data(label: str) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    config = {
        "name": "counter",
        "type": "realtime",
        "runtime": "python3.11",
        "version": "1.0.0",
        "entrypoints": {"bot": "main.py"},
    }
    custom = {
        "version": "1.0.0",
        "filePath": CODE_KEY,
        "createdAt": at,
        "updatedAt": at,
        "config": config,
    }
    return {"id": BOT, "config": {"label": label, "enabled": True}, "custom": custom}


@pytest.fixture
def outside(mongo: Service, s3: Service, nats: Service) -> Iterator[Outside]:
    service = Outside(mongo, s3, nats)
    yield service
    service.mongo.close()


@pytest.fixture
def site(
    docker_engine: docker.DockerClient, mongo: Service, s3: Service, nats: Service
) -> Iterator[Site]:
    servers = {
        "MONGO_URI": mongo.url,
        "MINIO_ENDPOINT": s3.address,
        "MINIO_ACCESS_KEY": s3.access_key,
        "MINIO_SECRET_KEY": s3.secret_key,
        "NATS_URL": nats.url,
    }
    with new_site(docker_engine, servers) as site:
        site.the0("local", "start")
        yield site


def test_a_service_that_knows_only_the_contract_runs_a_bot(site: Site, outside: Outside) -> None:
    assert set(site.pids()) == {"host"}, "servers of our own beside the ones that were named"
    outside.upload_code()

    data = bot_data("first")
    wrapped = {"type": "bot.created", "entity_id": BOT, "data": data, "timestamp": "2026-01-01"}
    outside.send("the0.bot.created", wrapped)
    eventually(lambda: outside.document() is not None)
    eventually(lambda: "first " in outside.hear(f"the0.bot.logs.{BOT}"))
    container = site.container(BOT)
    assert container.labels["runtime.managed"] == "true"
    assert container.labels["runtime.entrypoint"] == "main.py"
    assert container.labels["runtime.type"] == "realtime"

    outside.send("the0.bot.updated", bot_data("second"))
    second = eventually(lambda: site.counts(BOT, "second"))
    assert second[0] == site.counts(BOT, "first")[-1] + 1

    outside.send("the0.bot.deleted", bot_data("second"))
    eventually(lambda: outside.document() is None)
    filters = {"label": f"runtime.id={BOT}"}
    eventually(lambda: site.engine.containers.list(all=True, filters=filters) == [])

    key = f"{BOT}/state.tar.gz"
    eventually(lambda: key in outside.keys("bot-state"))
    with tarfile.open(fileobj=io.BytesIO(outside.read("bot-state", key))) as archive:
        assert ".the0-state/count.json" in [name.removeprefix("./") for name in archive.getnames()]
    (log,) = [key for key in outside.keys("bot-logs") if key.startswith(f"logs/{BOT}/")]
    lines = [json.loads(line) for line in outside.read("bot-logs", log).splitlines()]
    assert all("timestamp" in line for line in lines)
    assert "first 1" in [line.get("message") for line in lines]
