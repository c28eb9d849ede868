"""What each role serves of itself: health, readiness, status and metrics."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, generate_latest
from sanic import HTTPResponse, Request

from the0.config import Settings
from the0.errors import InvalidInput, Unavailable
from the0.http import (
    App,
    json_response,
    new_app,
    parse_json,
    start_app,
    tcp_socket,
    unix_socket,
)

CLOSE_SEC = 2.0


class Role(Protocol):
    """What a role tells of itself. Faults are empty for "all is well"."""

    @property
    def name(self) -> str: ...

    @property
    def registry(self) -> CollectorRegistry: ...

    def health_fault(self) -> str:
        """Why the role's own loop does not move."""

    def readiness(self) -> Mapping[str, str]:
        """The fault of each dependency, by name."""

    def status(self) -> Mapping[str, Any]: ...


class Wakeable(Protocol):
    """A role that can be told that a bot changed."""

    async def wake(self, bot_id: str | None) -> None: ...

    async def purge(self, bot_id: str) -> None: ...


@dataclass(frozen=True)
class RoleApp:
    """The handlers; the commands (`wake`, `purge`) are for the Unix socket alone."""

    role: Role
    commands: Wakeable | None = None

    def app(self) -> App:
        app = new_app(f"the0-{self.role.name}")
        app.add_route(self.healthz, "/healthz")
        app.add_route(self.readyz, "/readyz")
        app.add_route(self.status, "/status")
        app.add_route(self.metrics, "/metrics")
        if self.commands:
            app.add_route(self.wake, "/wake", methods=["POST"])
            app.add_route(self.purge, "/purge", methods=["POST"])
        return app

    async def healthz(self, _: Request) -> HTTPResponse:
        fault = self.role.health_fault()
        return json_response({"ok": not fault, "fault": fault}, 503 if fault else 200)

    async def readyz(self, _: Request) -> HTTPResponse:
        faults = self.role.readiness()
        ok = not any(faults.values())
        checks = {name: {"ok": not fault, "fault": fault} for name, fault in faults.items()}
        return json_response({"ok": ok, "dependencies": checks}, 200 if ok else 503)

    async def status(self, _: Request) -> HTTPResponse:
        return json_response(self.role.status())

    async def metrics(self, _: Request) -> HTTPResponse:
        return HTTPResponse(
            generate_latest(self.role.registry), content_type="text/plain; version=0.0.4"
        )

    async def wake(self, request: Request) -> HTTPResponse:
        bot_id = _bot_id(request)
        await asyncio.shield(_commands(self).wake(bot_id))
        return json_response({"bot_id": bot_id}, 202)

    async def purge(self, request: Request) -> HTTPResponse:
        bot_id = _bot_id(request)
        if bot_id is None:
            raise InvalidInput('The body has to name the bot: {"bot_id": …}')
        await asyncio.shield(_commands(self).purge(bot_id))
        return json_response({"bot_id": bot_id}, 202)


@contextlib.asynccontextmanager
async def serve_role(
    settings: Settings, role: Role, commands: Wakeable | None = None
) -> AsyncIterator[None]:
    """Serve a role on its Unix socket, and on the metrics port where one is set.

    Raises Conflict when the port is taken.
    """
    path = settings.state_dir.role_socket(role.name)
    running = []
    try:
        if settings.metrics.port:
            sock = tcp_socket(settings.metrics.host, settings.metrics.port)
            running.append(await start_app(RoleApp(role).app(), sock))
        sock = unix_socket(path, replace=True)
        running.append(await start_app(RoleApp(role, commands).app(), sock))
        yield
    finally:
        path.unlink(missing_ok=True)
        for one in running:
            await one.close(CLOSE_SEC)


def _commands(role: RoleApp) -> Wakeable:
    if role.commands is None:
        raise Unavailable(f"The {role.role.name} cannot be told anything.")
    return role.commands


def _bot_id(request: Request) -> str | None:
    """The bot that the body names; None for null."""
    body = parse_json(request.body)
    bot_id = body.get("bot_id") if isinstance(body, dict) else ...
    if bot_id is not None and not (isinstance(bot_id, str) and bot_id):
        raise InvalidInput('The body has to be {"bot_id": <text or null>}')
    return bot_id
