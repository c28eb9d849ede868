"""The container fixtures themselves: what other tests rely on when they kill and pause."""

from __future__ import annotations

import io

import nats as nats_client
import pytest
from minio import Minio
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.support import services


def mongo_client(service: services.Service) -> MongoClient[dict[str, object]]:
    return MongoClient(service.url, serverSelectionTimeoutMS=2000, socketTimeoutMS=2000)


def test_an_acknowledged_write_outlives_kill_9_of_the_database(mongo: services.Service) -> None:
    with mongo_client(mongo) as client:
        collection = client["fixtures"].get_collection("kept")
        collection.insert_one({"_id": "kill", "value": 1})
    mongo.kill()
    mongo.start()
    with mongo_client(mongo) as client:
        assert client["fixtures"]["kept"].find_one("kill") == {"_id": "kill", "value": 1}


def test_a_paused_database_does_not_answer_and_then_does_again(mongo: services.Service) -> None:
    mongo.pause()
    with mongo_client(mongo) as client, pytest.raises(PyMongoError):
        client.admin.command("ping")
    mongo.unpause()
    with mongo_client(mongo) as client:
        assert client.admin.command("ping")["ok"] == 1


def test_objects_outlive_kill_9_of_the_store(s3: services.Service) -> None:
    client = Minio(s3.address, s3.access_key, s3.secret_key, secure=False)
    client.make_bucket("fixtures")
    client.put_object("fixtures", "a/b", io.BytesIO(b"kept"), 4)
    s3.kill()
    s3.start()
    answer = client.get_object("fixtures", "a/b")
    try:
        assert answer.read() == b"kept"
    finally:
        answer.close()
        answer.release_conn()


async def test_nats_offers_jetstream(nats: services.Service) -> None:
    connection = await nats_client.connect(nats.url)
    try:
        stream = await connection.jetstream().add_stream(name="FIXTURES", subjects=["fixtures.>"])
        assert stream.config.name == "FIXTURES"
    finally:
        await connection.close()
