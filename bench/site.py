"""One installation for measuring: real servers, a real engine, the host as a process of its own."""

from __future__ import annotations

import http.client
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
import pymongo
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from the0.builtin.docker_executor import DockerExecutor
from the0.config import bootstrap
from the0.core.images import Image, ensure_images
from the0.models import ContainerState
from the0.plugin.interfaces import PluginArgs, Runtime, Storage
from the0.testing.containers import Silent
from the0.testing.servers import S3Server, Server, mongo_server, nats_server, s3_server

HOST = Path(sys.executable).with_name("the0-host")
PATIENCE_SEC = 600.0
INSTANCE = f"bench-{os.getpid()}"
RUNTIME = "python3.11"
LAST_PASS = "the0_last_pass_timestamp_seconds"

BOT = """
import os, time

def main(bot_id, config):
    print("first", time.time_ns(), flush=True)
    while not config.get("once"):
        time.sleep(config.get("pause", 3600))
        os.write(1, b"line %d\\n" % time.time_ns())
"""


class Site:
    """`mongo`, `s3` and `nats` run; hosts are started by the benchmarks."""

    def __init__(self, root: Path, mongo: Server, s3: S3Server, nats: Server) -> None:
        self.root = root
        self.mongo, self.s3, self.nats = mongo, s3, nats
        # Named first, so that a source edited meanwhile asks for no other image.
        self.environ = self._environ(root, mongo, s3, nats)
        self.environ["RUNTIME_IMAGE"] = self._make_image()

    def _environ(self, root: Path, mongo: Server, s3: S3Server, nats: Server) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {
            **kept,
            "THE0_INSTANCE": INSTANCE,
            "THE0_STATE_DIR": str(root / "st"),
            "MONGO_URI": mongo.url,
            "NATS_URL": nats.url,
            "MINIO_ENDPOINT": s3.endpoint,
            "MINIO_ACCESS_KEY": s3.access_key,
            "MINIO_SECRET_KEY": s3.secret_key,
            "RECONCILE_INTERVAL": "30s",
            "THE0_MINIO__TIMEOUT_SEC": "60",
            "THE0_LOGS__RATE_KB": "10000000",
        }

    # --- parts ---

    @cached_property
    def parts(self) -> Any:
        """Settings and plugins, as the host loads them."""
        return bootstrap((), self.environ)

    @property
    def settings(self) -> Any:
        return self.parts[0]

    @cached_property
    def executor(self) -> DockerExecutor:
        """Of the same installation as the host, which must have run once."""
        record = self.client["the0"]["installations"].find_one({"_id": INSTANCE})
        return DockerExecutor(self._args(record["installation"]))

    @cached_property
    def storage(self) -> Storage:
        plugin: Storage = self.parts[1].storages.get("minio")(self._args(""))
        for bucket in ("custom-bots", "bot-state", "bot-logs", "query-results"):
            plugin.ensure_bucket(bucket)
        return plugin

    @cached_property
    def runtime(self) -> Runtime:
        made: Runtime = self.parts[1].runtimes.get(RUNTIME)(self._args(""))
        return made

    @cached_property
    def image(self) -> Image:
        tag = self.environ["RUNTIME_IMAGE"]
        return Image(tag, self.executor.image_identity(tag))

    @cached_property
    def client(self) -> Any:
        return pymongo.MongoClient(self.mongo.url)

    @property
    def bots(self) -> Any:
        return self.client["bot_runner"]["bots"]

    @property
    def schedules(self) -> Any:
        return self.client["bot_scheduler"]["bot_schedules"]

    @property
    def raw_bots(self) -> Any:
        """The same documents, not decoded."""
        options = CodecOptions(document_class=RawBSONDocument)
        return self.bots.with_options(codec_options=options)

    @cached_property
    def docker(self) -> docker.DockerClient:
        return docker.from_env()

    def pid(self, ref: str) -> int:
        """Process 1 of a container, as this host numbers it."""
        found: int = self.docker.api.inspect_container(ref)["State"]["Pid"]
        return found

    def _args(self, installation: str) -> PluginArgs:
        return PluginArgs(INSTANCE, installation, self.root / "st", self.settings.sections)

    def _make_image(self) -> str:
        settings, plugins = bootstrap((), self.environ)
        args = PluginArgs("the0", "", self.root, settings.sections)
        executor = DockerExecutor(args)
        with closing(executor):
            (tag,) = ensure_images(executor, [plugins.runtimes.get(RUNTIME)(args)], Silent())
        return tag

    # --- hosts ---

    @contextmanager
    def host(self, role: str) -> Iterator[int]:
        """A host process with `role`; its pid once it answers."""
        with (self.root / "host.log").open("ab") as log:
            process = subprocess.Popen(
                [HOST, "--role", role], env=self.environ, cwd=self.root, stdout=log, stderr=log
            )
        try:
            until(self._runs if role == "runner" else self._serves, f"the {role} works")
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)

    def _runs(self) -> bool:
        """Whether the runner made a pass and hears events: earlier ones nobody would keep."""
        try:
            ready = json.loads(self.ask("GET", "/readyz"))
            return bool(ready["ok"] and json.loads(self.ask("GET", "/status")).get("pass"))
        except OSError:
            return False

    def _serves(self) -> bool:
        """Whether a gateway listens; the socket of an earlier one may lie there still."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.settings.state_dir.gateway_socket)) == 0

    def ask(self, method: str, path: str, body: Any = None, role: str = "runner") -> bytes:
        """What a role answers at its socket."""
        connection = http.client.HTTPConnection(role, timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        with closing(connection):
            connection.sock.connect(str(self.settings.state_dir.role_socket(role)))
            connection.request(method, path, None if body is None else json.dumps(body))
            return connection.getresponse().read()

    def one_pass(self) -> dict[str, Any]:
        """Have the runner make a pass while it does nothing else; its report.

        One that was under way when it was asked for is no such pass, and the one after it neither:
        the host gives this status meanwhile, which costs as much as a pass.
        """
        while True:
            asked, before = datetime.now(UTC), self._last_pass()
            self.ask("POST", "/wake", {"bot_id": None})
            seen = self._pass_after(before)
            report: dict[str, Any] = json.loads(self.ask("GET", "/status"))["pass"]
            took = timedelta(seconds=report["seconds"])
            if datetime.fromisoformat(report["ended_at"]) - took >= asked:
                return report
            self._pass_after(seen)

    def _pass_after(self, moment: float) -> float:
        """When the first pass after `moment` ended."""

        def ended() -> float:
            last = self._last_pass()
            return last if last > moment else 0.0

        return float(until(ended, "a pass", 0.5))

    def _last_pass(self) -> float:
        """From the metrics, because the status of many bots would cost the host as much again."""
        text = self.ask("GET", "/metrics").decode()
        lines = [line for line in text.splitlines() if line.startswith(LAST_PASS)]
        return float(lines[0].split()[-1])

    # --- bots ---

    def upload_code(self) -> None:
        body = io.BytesIO()
        with zipfile.ZipFile(body, "w") as archive:
            archive.writestr("main.py", BOT)
        self.storage.put("custom-bots", "bench/bot/1.0.0", io.BytesIO(body.getvalue()), body.tell())

    def clear(self) -> None:
        """No bots, containers, volumes and launches, while no host runs; the networks stay."""
        self.bots.delete_many({})
        self.schedules.delete_many({})
        platform = self.client["the0"]
        for name in set(platform.list_collection_names()) - {"installations"}:
            platform[name].delete_many({})
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(self.remove, [one.ref for one in self.executor.list()]))
            list(pool.map(self.executor.remove_bot_volumes, self.executor.bot_volumes()))
        for path in self.settings.state_dir.launches.iterdir():
            path.unlink()

    def remove(self, ref: str) -> None:
        """Kill a container and remove it."""
        self.executor.kill(ref)
        over = (ContainerState.CREATED, ContainerState.EXITED, ContainerState.DEAD)
        until(lambda: self.executor.inspect(ref).state in over, f"{ref} ends")
        self.executor.remove(ref)

    def close(self) -> None:
        self.clear()
        self.executor.dismantle()
        self.executor.close()
        self.docker.close()
        self.storage.close()
        self.client.close()


@contextmanager
def running_site() -> Iterator[Site]:
    """A site in a folder of its own; everything of it is gone in the end."""
    root = Path(tempfile.mkdtemp(prefix="b"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, root, True)
        site = Site(
            root,
            stack.enter_context(mongo_server(root / "mongo")),
            stack.enter_context(s3_server(root / "s3")),
            stack.enter_context(nats_server(root / "nats")),
        )
        site.upload_code()
        with site.host("runner"):
            """It takes possession of the engine, and makes the networks."""
        stack.callback(site.close)
        yield site


def document(bot_id: str, *, enabled: bool = True, **config: Any) -> dict[str, Any]:
    """A realtime bot as MongoDB keeps it, with a schema and a text as real ones have."""
    return {
        "id": bot_id,
        "config": {"name": bot_id, "symbol": "BTC/USD", "threshold": 0.25, **config},
        "custom": {
            "version": "1.0.0",
            "filePath": "bench/bot/1.0.0",
            "updatedAt": datetime.now(UTC).isoformat(),
            "config": {
                "name": "bot",
                "runtime": RUNTIME,
                "entrypoints": {"bot": "main.py"},
                "schema": {"bot": {"type": "object", "properties": {"symbol": {"type": "string"}}}},
                "readme": "Buys low and sells high. " * 20,
            },
        },
        "enabled": enabled,
    }


class EngineEvents:
    """What the engine tells of this installation's containers, with its own nanoseconds."""

    def __init__(self) -> None:
        self._seen: list[dict[str, Any]] = []
        self._client = docker.from_env()
        labels = {"label": [f"the0.instance={INSTANCE}"], "type": "container"}
        self._stream = self._client.events(decode=True, filters=labels)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        for event in self._stream:
            self._seen.append(event)

    def at(self, action: str, bot_id: str, after_ns: int) -> int:
        """When `action` happened to a container of the bot, first after `after_ns`."""
        return int(until(lambda: self._find(action, bot_id, after_ns), f"{action} of {bot_id}"))

    def _find(self, action: str, bot_id: str, after_ns: int) -> int:
        times = (
            event["timeNano"]
            for event in list(self._seen)
            if event["Action"] == action
            and event["Actor"]["Attributes"].get("runtime.id") == bot_id
            and event["timeNano"] >= after_ns
        )
        return min(times, default=0)

    def close(self) -> None:
        self._stream.close()
        self._thread.join(5)
        self._client.close()


def until(seen: Callable[[], Any], what: str, poll_sec: float = 0.02) -> Any:
    """What `seen` gives once it is true; RuntimeError naming `what` when that takes too long."""
    deadline = time.monotonic() + PATIENCE_SEC
    while not (found := seen()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited in vain: {what}")
        time.sleep(poll_sec)
    return found


def milliseconds(nanoseconds: Sequence[int]) -> list[float]:
    return [one / 1e6 for one in nanoseconds]
