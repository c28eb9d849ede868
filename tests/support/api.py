"""A control API that really serves, on embedded servers, with a stand-in for the runner."""

from __future__ import annotations

import asyncio
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft202012Validator
from sanic import HTTPResponse, Request

from the0.api.service import ControlApi
from the0.config import Settings, load_settings
from the0.errors import The0Error
from the0.http import App, json_response, new_app, start_app, unix_socket
from the0.models import BotType
from the0.plugin.interfaces import PluginArgs, Storage
from the0.plugin.manager import PluginManager
from the0.queries.ephemeral import EphemeralSite
from the0.queries.service import QueryHandler
from the0.repository import Repository
from the0.settings import CORE_SECTIONS
from the0.testing.servers import S3Server, Server, free_port

TOKEN = "token-of-the-tests"

RUN_ID = "0123456789abcdef" * 2

METRICS = """# HELP bots Bots by phase.
# TYPE bots gauge
bots{phase="running"} 2.0
"""


@dataclass
class Runner:
    """What the API sees of a runner: `told` are the (path, bot or run) it was told of."""

    bots: list[dict[str, Any]] = field(default_factory=list)
    ready: bool = True
    told: list[tuple[str, str]] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self, socket: Path) -> AsyncIterator[None]:
        app = new_app(socket.stem)
        self.add_routes(app)
        running = await start_app(app, unix_socket(socket))
        try:
            yield
        finally:
            await running.close(grace_sec=1)

    def add_routes(self, app: App) -> None:
        async def status(_: Request) -> HTTPResponse:
            return json_response({"instance": "test", "leader": True, "bots": self.bots})

        async def health(_: Request) -> HTTPResponse:
            return json_response({"status": "ok"})

        async def ready(_: Request) -> HTTPResponse:
            body = {"mongo": "ok" if self.ready else "does not answer"}
            return json_response(body, 200 if self.ready else 503)

        async def metrics(_: Request) -> HTTPResponse:
            return HTTPResponse(METRICS, content_type="text/plain")

        app.add_route(status, "/status")
        app.add_route(health, "/healthz")
        app.add_route(ready, "/readyz")
        app.add_route(metrics, "/metrics")
        app.add_route(self.tell, "/wake", methods=["POST"], name="wake")
        app.add_route(self.tell, "/purge", methods=["POST"], name="purge")

    async def tell(self, request: Request) -> HTTPResponse:
        ((_, what),) = json.loads(request.body).items()
        self.told.append((request.path, what))
        return json_response({}, 202)


@dataclass
class Scheduler(Runner):
    """What it sees of a scheduler. A command about what is in `refused` gets that error."""

    refused: dict[str, The0Error] = field(default_factory=dict)
    commanded: asyncio.Event = field(default_factory=asyncio.Event)

    def add_routes(self, app: App) -> None:
        super().add_routes(app)
        app.add_route(self.command, "/run-now", methods=["POST"], name="run_now")
        app.add_route(self.command, "/cancel", methods=["POST"], name="cancel")

    async def command(self, request: Request) -> HTTPResponse:
        await self.tell(request)
        self.commanded.set()
        path, what = self.told[-1]
        if what in self.refused:
            raise self.refused[what]
        return json_response({"run": RUN_ID if path == "/run-now" else what}, 202)


@dataclass
class ApiHost:
    """One running control API; `http` has its token."""

    settings: Settings
    repository: Repository
    storage: Storage
    http: httpx.AsyncClient

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.api.port}"

    async def deploy_code(self, **config: Any) -> httpx.Response:
        content = archive(**config)
        return await self.http.post("/api/v1/custom-bots", content=content)

    async def deploy_bot(self, config: Mapping[str, Any], **more: Any) -> httpx.Response:
        return await self.http.post("/api/v1/bots", json={"config": dict(config), **more})


@asynccontextmanager
async def api_host(
    state_dir: Path, mongo: Server, s3: S3Server, environ: Mapping[str, str] | None = None
) -> AsyncIterator[ApiHost]:
    """Serves until left. Its bots are removed again: their database has one name."""
    plugins = PluginManager.load()
    settings = load_settings(
        [*CORE_SECTIONS, *plugins.sections()],
        [],
        {
            "THE0_STATE_DIR": str(state_dir),
            "THE0_API__PORT": str(free_port()),
            "THE0_API__TOKEN": TOKEN,
            "MONGO_URI": mongo.url,
            "MINIO_ENDPOINT": s3.endpoint,
            "MINIO_ACCESS_KEY": s3.access_key,
            "MINIO_SECRET_KEY": s3.secret_key,
            "MINIO_CODE_BUCKET": f"code-{free_port()}",
            "THE0_MONGO__PLATFORM_DATABASE": f"the0_{free_port()}",
            **(environ or {}),
        },
    )
    settings.state_dir.make()
    async with AsyncExitStack() as stack:
        repository = Repository(settings.mongo)
        stack.push_async_callback(repository.close)
        storage = plugins.storages.get(settings.storage.plugin)(
            PluginArgs("test", "", state_dir, settings.sections)
        )
        stack.callback(storage.close)
        storage.ensure_bucket(settings.storage.logs_bucket)
        client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{settings.api.port}",
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=30,
        )
        http = await stack.enter_async_context(client)
        queries = QueryHandler(EphemeralSite(settings, plugins, repository, storage))
        stack.push_async_callback(queries.close)
        stop = asyncio.Event()
        serving = asyncio.create_task(
            ControlApi(settings, repository, storage, plugins, queries).run(stop),
            name="control-api",
        )
        try:
            await _until_it_answers(http, serving)
            page = (await http.get("/openapi.json")).json()
            http.event_hooks = {"response": [Declared(page)]}
            yield ApiHost(settings, repository, storage, http)
        finally:
            stop.set()
            await serving
            for kind in BotType:
                await repository.connection.bots(kind).delete_many({})


@dataclass
class Declared:
    """Holds every answer to what the OpenAPI document declares of it."""

    page: dict[str, Any]

    async def __call__(self, answer: httpx.Response) -> None:
        if not answer.headers.get("content-type", "").startswith("application/json"):
            return
        declared = self._responses(answer.request)
        ours = declared.get(str(answer.status_code), declared["default"])
        schema = ours["content"]["application/json"]["schema"]
        await answer.aread()
        root = {**schema, "components": self.page["components"]}
        Draft202012Validator(root).validate(answer.json())

    def _responses(self, request: httpx.Request) -> dict[str, Any]:
        path = request.url.raw_path.decode().partition("?")[0]
        for template, operations in self.page["paths"].items():
            pattern = re.sub(r"\{\w+\}", "[^/]+", template.replace("{path}", ".*"))
            if re.fullmatch(pattern, path):
                found: dict[str, Any] = operations[request.method.lower()]["responses"]
                return found
        raise AssertionError(f"{path} is not in the OpenAPI document")


async def _until_it_answers(http: httpx.AsyncClient, serving: asyncio.Task[None]) -> None:
    while not serving.done():
        try:
            await http.get("/health")
            return
        except httpx.ConnectError:
            await asyncio.sleep(0.01)
    await serving


SCHEMA = {
    "type": "object",
    "properties": {
        "symbol": {"type": "string", "description": "What to trade."},
        "amount": {"type": "integer", "minimum": 1},
    },
    "required": ["symbol"],
    "additionalProperties": False,
}


def archive(
    main: str = "def main(bot_id, config): pass\n",
    bot_schema: Mapping[str, Any] = SCHEMA,
    **config: Any,
) -> bytes:
    """The archive of a sound project; keywords change its bot-config.yaml."""
    bot_config = {
        "name": "sma",
        "description": "Crosses averages.",
        "version": "1.0.0",
        "author": "tests",
        "type": "realtime",
        "runtime": "python3.11",
        "entrypoints": {"bot": "main.py"},
        "schema": {"bot": "bot-schema.json"},
        "readme": "README.md",
        **config,
    }
    files = {
        "bot-config.yaml": json.dumps(bot_config),
        "bot-schema.json": json.dumps(bot_schema),
        "README.md": "# SMA\n",
        "main.py": main,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, text in files.items():
            target.writestr(zipfile.ZipInfo(name), text)
    return buffer.getvalue()


def instance(**changed: Any) -> dict[str, Any]:
    """An instance that fits :func:`archive`."""
    return {
        "name": "btc",
        "type": "realtime/sma",
        "version": "1.0.0",
        "symbol": "BTC-USD",
        **changed,
    }
