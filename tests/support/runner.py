"""A whole runner for tests: real servers, a real engine, the host as a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pymongo
from minio import Minio

from tests.support.bots import BOTS
from tests.support.locks import one_at_a_time
from the0.builtin.docker_executor import DockerExecutor
from the0.config import bootstrap
from the0.core.images import ensure_images
from the0.local.stop import Dismantles
from the0.models import Container, ContainerState
from the0.plugin.interfaces import Executor, PluginArgs, Progress
from the0.testing.servers import S3Server, Server, mongo_server, nats_server, s3_server

HOST = Path(sys.executable).with_name("the0-host")
PATIENCE_SEC = 90.0

BUCKETS = ("custom-bots", "bot-state", "bot-logs", "query-results")


@dataclass
class Services:
    """The three servers, shared by the tests of a process, one installation after the other."""

    mongo: Server
    s3: S3Server
    nats: Server

    def revive(self) -> None:
        """Everything answers again, and no bot is wanted any more."""
        for server in (self.mongo, self.s3, self.nats):
            server.thaw()
            if server.process is None:
                server.restart()


@contextlib.contextmanager
def running_services(root: Path) -> Iterator[Services]:
    with ExitStack() as stack:
        yield Services(
            stack.enter_context(mongo_server(root / "mongo")),
            stack.enter_context(s3_server(root / "s3")),
            stack.enter_context(nats_server(root / "nats")),
        )


@dataclass
class Installation:
    """One instance: its documents, its hosts, its containers."""

    instance: str
    services: Services
    root: Path
    settings: dict[str, str] = field(default_factory=dict)
    installation: str = ""
    host: Path = HOST
    hosts: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        own = {
            "THE0_INSTANCE": self.instance,
            "THE0_STATE_DIR": str(self.root),
            "MONGO_URI": self.services.mongo.url,
            "NATS_URL": self.services.nats.url,
            "MINIO_ENDPOINT": self.services.s3.endpoint,
            "MINIO_ACCESS_KEY": self.services.s3.access_key,
            "MINIO_SECRET_KEY": self.services.s3.secret_key,
            "RECONCILE_INTERVAL": "2s",
            "THE0_MONGO__TIMEOUT_SEC": "2",
        }
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {**kept, **own, **self.settings}

    # --- hosts ---

    def start_host(self, role: str = "runner") -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            host = subprocess.Popen(
                [self.host, "--role", role], env=self.environ, cwd=self.root, stdout=log, stderr=log
            )
        self.hosts.append(host)
        return host

    def kill_host(self, host: subprocess.Popen[bytes] | None = None) -> None:
        host = host or self.hosts[-1]
        host.kill()
        host.wait()
        self.hosts.remove(host)

    def stop_host(self) -> int:
        host = self.hosts.pop()
        host.send_signal(signal.SIGTERM)
        return host.wait(60)

    @property
    def _log(self) -> Path:
        return self.root.parent / "host.log"

    def log(self) -> str:
        """What all its hosts logged; empty before the first one."""
        return self._log.read_text() if self._log.exists() else ""

    def ask(self, path: str, body: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("runner", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(10)
        with contextlib.closing(connection):
            connection.sock.connect(str(self.root / "run" / "runner.sock"))
            data = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, data)
            answer = connection.getresponse()
            text = answer.read()
        return answer.status, json.loads(text) if path != "/metrics" else text.decode()

    def wake(self, bot_id: str | None) -> None:
        assert self.ask("/wake", {"bot_id": bot_id})[0] == 202

    def shown(self, bot_id: str) -> dict[str, Any]:
        """The bot as `/status` shows it; empty while it (or the runner) is not there."""
        try:
            status, body = self.ask("/status")
        except OSError:
            return {}
        bots = body.get("bots", []) if status == 200 else []
        return next((bot for bot in bots if bot["id"] == bot_id), {})

    def phase(self, bot_id: str) -> str:
        return str(self.shown(bot_id).get("phase", ""))

    # --- documents ---

    @property
    def bots(self) -> Any:
        return self.client["bot_runner"]["bots"]

    @cached_property
    def client(self) -> Any:
        return pymongo.MongoClient(self.services.mongo.url, timeoutMS=10_000)

    def put(self, bot_id: str, code: str = "counter", **config: Any) -> dict[str, Any]:
        document = bot_document(bot_id, code, **config)
        self.bots.replace_one({"id": bot_id}, document, upsert=True)
        return document

    def enable(self, bot_id: str, enabled: bool) -> None:
        self.bots.update_one({"id": bot_id}, {"$set": {"enabled": enabled}})

    def delete(self, bot_id: str) -> None:
        self.bots.delete_one({"id": bot_id})

    def upload(self, name: str, source: str) -> None:
        body = io.BytesIO()
        with zipfile.ZipFile(body, "w") as archive:
            archive.writestr("main.py", source)
        data = body.getvalue()
        self.store.put_object("custom-bots", f"user/{name}/1.0.0", io.BytesIO(data), len(data))

    @property
    def store(self) -> Minio:
        s3 = self.services.s3
        store = Minio(s3.endpoint, s3.access_key, s3.secret_key, secure=False)
        for bucket in BUCKETS:
            if not store.bucket_exists(bucket):
                store.make_bucket(bucket)
        return store

    # --- the engine ---

    @contextlib.contextmanager
    def executor(self) -> Iterator[Executor]:
        settings, plugins = bootstrap((), self.environ)
        if not self.installation:
            record = self.client["the0"]["installations"].find_one({"_id": self.instance}) or {}
            self.installation = record.get("installation", "")
        args = PluginArgs(self.instance, self.installation, self.root, settings.sections)
        executor = plugins.executors.get(settings.executor.plugin)(args)
        try:
            yield executor
        finally:
            executor.close()

    def containers(self) -> Sequence[Container]:
        with self.executor() as executor:
            return executor.list()

    def running(self) -> dict[str, str]:
        """Bot id -> ref of its running container; fails for a bot with two containers."""
        found = self.containers()
        ids = [one.bot_id for one in found]
        assert len(ids) == len(set(ids)), f"a bot has two containers: {ids}"
        return {one.bot_id: one.ref for one in found if one.state is ContainerState.RUNNING}

    # --- the end ---

    def clear(self) -> None:
        """Leave nothing: hosts, containers, volumes, networks, firewall; nor any document, record
        or object that the next test could take for its own."""
        for host in list(self.hosts):
            self.kill_host(host)
        self.services.revive()
        with contextlib.closing(self.client):
            self._clear_engine()
            self._clear_database()
            self._clear_store()

    def _clear_engine(self) -> None:
        with self.executor() as executor:
            for one in executor.list():
                executor.kill(one.ref)
                executor.unpause(one.ref)
                executor.remove(one.ref)
            for bot_id in executor.bot_volumes():
                executor.remove_bot_volumes(bot_id)
            if isinstance(executor, Dismantles):
                executor.dismantle()

    def _clear_database(self) -> None:
        for name in ("bot_runner", "bot_scheduler", "the0"):
            database = self.client[name]
            for collection in database.list_collection_names():
                database[collection].delete_many({})

    def _clear_store(self) -> None:
        for bucket in BUCKETS:
            for one in self.store.list_objects(bucket, recursive=True):
                self.store.remove_object(bucket, one.object_name)


def bot_document(bot_id: str, code: str = "counter", **config: Any) -> dict[str, Any]:
    """As the services around the platform write one now."""
    about = {"name": code, "runtime": "python3.11", "entrypoints": {"bot": "main.py"}}
    custom = {
        "version": "1.0.0",
        "filePath": f"user/{code}/1.0.0",
        "updatedAt": datetime.now(UTC).isoformat(),
        "config": about,
    }
    return {
        "id": bot_id,
        "config": {"name": bot_id, **config},
        "custom": custom,
        "enabled": True,
    }


@contextlib.contextmanager
def installed(
    instance: str, services: Services, settings: Mapping[str, str]
) -> Iterator[Installation]:
    """An installation without a host; its store has the code of the bots in `BOTS`."""
    # Below pytest's own folders the paths of the sockets would be too long for Linux.
    with tempfile.TemporaryDirectory(prefix="s-") as place:
        root = Path(place) / "s"
        root.mkdir()
        found = Installation(instance, services, root, dict(settings))
        for name, source in BOTS.items():
            found.upload(name, source)
        try:
            yield found
            print(found.log())
        finally:
            found.clear()


class Quiet(Progress):
    def step(self, text: str) -> None:
        """Nobody watches."""


def make_image() -> str:
    """The tag of the image that the tests' bots run in, built unless it is there."""
    settings, plugins = bootstrap((), {})
    args = PluginArgs("the0", "", Path("/nonexistent"), settings.sections)
    runtime = plugins.runtimes.get("python3.11")(args)
    executor = DockerExecutor(args)
    try:
        # Of test processes side by side one builds, the others find it there.
        with one_at_a_time("runtime-image"):
            (tag,) = ensure_images(executor, [runtime], Quiet())
        return tag
    finally:
        executor.close()


def eventually(
    seen: Callable[[], object], what: str, within: float = PATIENCE_SEC, pause: float = 0.2
) -> Any:
    """What `seen` gives once it is true; AssertionError naming `what` when it takes too long."""
    deadline = time.monotonic() + within
    while True:
        found = seen()
        if found:
            return found
        assert time.monotonic() < deadline, f"it did not happen within {within:g} s: {what}"
        time.sleep(pause)


def stays(seen: Callable[[], object], seconds: float, what: str) -> None:
    """`seen` gives the same value for a while."""
    before, deadline = seen(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert seen() == before, f"it changed: {what}"
        time.sleep(0.3)
