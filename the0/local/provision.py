"""What the embedded servers need once before they are used: a database user, a stream."""

from __future__ import annotations

import socket
import subprocess

import nats
import pymongo
from nats.js.api import StreamConfig
from pymongo.errors import OperationFailure, PyMongoError

from the0.errors import Unavailable
from the0.files import write_atomic
from the0.local.config import LOOPBACK, USER, LocalConfig
from the0.local.paths import LocalPaths
from the0.local.processes import mongo_command
from the0.plugin.interfaces import Progress

STREAM = "THE0_EVENTS"
SUBJECTS = [
    f"the0.{kind}.{action}"
    for kind in ("bot", "bot-schedule")
    for action in ("created", "updated", "deleted")
]
KEPT_SEC = 7 * 24 * 3600.0
START_TIMEOUT_SEC = 60.0
USER_EXISTS = 51003


def provision_mongo(paths: LocalPaths, config: LocalConfig, progress: Progress) -> None:
    """Make the database's only user, once.

    That takes a start without authentication, so it happens on a port of its own that nobody
    knows, before the database is started for use.
    """
    mark = paths.data("mongo.provisioned")
    if mark.exists():
        return
    progress.step("Preparing the embedded database (once)")
    port = _free_port()
    command = mongo_command(paths, port, auth=False)
    with paths.log("mongo").open("ab") as log:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _create_user(port, config.mongo_password)
    finally:
        server.terminate()
        server.wait()
    write_atomic(mark, b"")


def _create_user(port: int, password: str) -> None:
    uri = f"mongodb://{LOOPBACK}:{port}/?directConnection=true"
    timeout_ms = int(START_TIMEOUT_SEC * 1000)
    try:
        with pymongo.MongoClient[dict[str, object]](
            uri, serverSelectionTimeoutMS=timeout_ms
        ) as client:
            client.admin.command("createUser", USER, pwd=password, roles=["root"])
    except OperationFailure as error:
        # Made by a start that was cut off before it could say so.
        if error.code != USER_EXISTS:
            raise Unavailable(f"The embedded database refuses its user: {error}") from error
    except PyMongoError as error:
        raise Unavailable(f"The embedded database did not start: {error}") from error


async def provision_nats(config: LocalConfig) -> None:
    """Make the stream of bot events unless it is there, so that no event sent while the host is
    down is lost."""
    try:
        connection = await nats.connect(config.nats_url, max_reconnect_attempts=3)
        try:
            jetstream = connection.jetstream()
            await jetstream.add_stream(
                StreamConfig(name=STREAM, subjects=SUBJECTS, max_age=KEPT_SEC)
            )
        finally:
            await connection.close()
    except (nats.errors.Error, OSError) as error:
        raise Unavailable(f"The embedded NATS server refuses its stream: {error}") from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
