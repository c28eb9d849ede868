"""A real client of the gateway over its Unix socket, and a gateway to talk to."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import http.client
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from the0_storage_minio import MinioSettings, MinioStorage

from the0.config import Settings, load_settings
from the0.gateway import Gateway
from the0.launches import Launch, LaunchStore
from the0.plugin import PluginArgs, Storage
from the0.settings import CORE_SECTIONS

T = TypeVar("T")

PATIENCE_SEC = 60.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json["error"]["code"]


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("gateway", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass
class Client:
    """What an agent does, one connection a request. Blocking: tests run it in threads."""

    path: Path
    launch: str
    token: str
    timeout: float = 60.0
    epoch: str = field(default_factory=lambda: secrets.token_hex(16))

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        connection = _Connection(self.path, self.timeout)
        try:
            own = {"Authorization": f"Bearer {self.launch}.{self.token}"}
            with contextlib.suppress(BrokenPipeError):  # refused in mid-body: the answer is there
                connection.request(method, path, body, {**own, **(headers or {})})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def post(self, path: str, value: Any) -> Answer:
        return self.ask("POST", path, json.dumps(value).encode())

    def put_state(self, body: bytes, generation: str, base: str = "", **changed: str) -> Answer:
        headers = {
            "X-The0-Generation": generation,
            "X-The0-Base": base,
            "X-The0-Tree": hashlib.sha256(b"tree" + body).hexdigest(),
            "X-The0-Sha256": hashlib.sha256(body).hexdigest(),
        }
        return self.ask("PUT", "/v1/state", body, {**headers, **changed})

    def post_logs(self, first: int, lines: Sequence[bytes], time_ns: int | None = None) -> Answer:
        at = time.time_ns() if time_ns is None else time_ns
        records = [
            [first + index, at, "stdout", base64.b64encode(line).decode(), False]
            for index, line in enumerate(lines)
        ]
        return self.post("/v1/logs", {"epoch": self.epoch, "records": records})


class Published:
    """Stands where the NATS publisher does and remembers."""

    def __init__(self) -> None:
        self.all: list[tuple[str, bytes]] = []

    def publish(self, bot_id: str, data: bytes) -> None:
        self.all.append((bot_id, data))


@dataclass
class Site:
    """A state directory with settings, and the means to make launches and clients."""

    settings: Settings
    storage: Storage
    published: Published = field(default_factory=Published)

    @property
    def launches(self) -> LaunchStore:
        return LaunchStore(self.settings.state_dir.launches)

    def launch(self, bot_id: str = "bot-1", **changed: Any) -> Client:
        """A client with a launch of its own."""
        launch, token = Launch.new(
            **{
                "installation": "test",
                "bot_id": bot_id,
                "kind": "realtime",
                "code_key": "user/bot/1.0.0",
                "document": {"config": "{}"},
                **changed,
            }
        )
        self.launches.write(launch)
        return Client(self.settings.state_dir.gateway_socket, launch.launch, token)

    @contextlib.asynccontextmanager
    async def gateway(self) -> AsyncIterator[Gateway]:
        """A gateway that serves in this loop."""
        gateway, stop = Gateway(self.settings, self.storage, self.published), asyncio.Event()
        running = asyncio.create_task(gateway.run(stop))
        serving = asyncio.create_task(gateway.serving.wait())
        try:
            await asyncio.wait({running, serving}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                await running
            yield gateway
        finally:
            serving.cancel()
            stop.set()
            await running


def make_site(root: Path, endpoint: str, keys: tuple[str, str], **settings: Any) -> Site:
    """A site below `root` whose store is at `endpoint`; `settings` as environment variables."""
    loaded = load_settings(
        (*CORE_SECTIONS, MinioSettings),
        files=[],
        environ={
            "MONGO_URI": "mongodb://127.0.0.1:1",
            "MINIO_ENDPOINT": endpoint,
            "MINIO_ACCESS_KEY": keys[0],
            "MINIO_SECRET_KEY": keys[1],
            "THE0_STATE_DIR": str(root),
            "THE0_MINIO__TIMEOUT_SEC": "1",
            **settings,
        },
    )
    loaded.state_dir.make()
    storage = MinioStorage(PluginArgs("test", "", root, loaded.sections))
    for bucket in ("custom-bots", "bot-state", "bot-logs", "query-results"):
        storage.ensure_bucket(bucket)
    return Site(loaded, storage)


async def threaded(call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """A blocking call of the client while the gateway runs in this loop."""
    return await asyncio.to_thread(call, *args, **kwargs)


async def until(seen: Callable[[], object]) -> None:
    """Wait until the blocking `seen` is true; an error after a time that is never needed."""
    async with asyncio.timeout(PATIENCE_SEC):
        while not await asyncio.to_thread(seen):  # noqa: ASYNC110 - another process's work
            await asyncio.sleep(0.05)
