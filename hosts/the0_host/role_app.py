"""What each role serves of itself: health, readiness, status and metrics."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, generate_latest
from sanic import HTTPResponse, Request

from the0.config import Settings
from the0.errors import InvalidInput
from the0.http import (
    App,
    json_response,
    new_app,
    parse_json,
    start_app,
    tcp_socket,
    unix_socket,
)
from the0.models import JSON

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


Command = Callable[[JSON], Awaitable[Mapping[str, JSON]]]
"""Takes the body of a POST; what it returns is durable, and is the answer."""


@dataclass(frozen=True)
class RoleApp:
    """The handlers; `commands`, by their paths, are for the Unix socket alone."""

    role: Role
    commands: Mapping[str, Command] = field(default_factory=dict)

    def app(self) -> App:
        app = new_app(f"the0-{self.role.name}")
        app.add_route(self.healthz, "/healthz")
        app.add_route(self.readyz, "/readyz")
        app.add_route(self.status, "/status")
        app.add_route(self.metrics, "/metrics")
        for name, command in self.commands.items():
            handler = partial(self.carry_out, command)
            app.add_route(handler, f"/{name}", methods=["POST"], name=name)
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

    async def carry_out(self, command: Command, request: Request) -> HTTPResponse:
        # What was begun ends, even when whoever asked hangs up.
        return json_response(await asyncio.shield(command(parse_json(request.body))), 202)


def named(body: JSON, field: str) -> str:
    """The text that a command's body has in `field`. Raises InvalidInput."""
    value = body.get(field) if isinstance(body, dict) else None
    if not (isinstance(value, str) and value):
        raise InvalidInput(f'The body has to be {{"{field}": <text>}}')
    return value


def named_or_all(body: JSON, field: str) -> str | None:
    """The same, or None for null, which means all."""
    if isinstance(body, dict) and field in body and body[field] is None:
        return None
    return named(body, field)


@contextlib.asynccontextmanager
async def serve_role(
    settings: Settings, role: Role, commands: Mapping[str, Command], *, tcp: bool = True
) -> AsyncIterator[None]:
    """Serve a role on its Unix socket and (with `tcp`) on the metrics port where one is set.

    Raises Conflict when the port is taken.
    """
    path = settings.state_dir.role_socket(role.name)
    running = []
    try:
        if tcp and settings.metrics.port:
            sock = tcp_socket(settings.metrics.host, settings.metrics.port)
            running.append(await start_app(RoleApp(role).app(), sock))
        sock = unix_socket(path, replace=True)
        running.append(await start_app(RoleApp(role, commands).app(), sock))
        yield
    finally:
        path.unlink(missing_ok=True)
        for one in running:
            await one.close(CLOSE_SEC)
