"""The gateway's HTTP app: routes, and who may ask."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from sanic import HTTPResponse, Request

from the0.gateway.errors import NoJob, UnknownLaunch
from the0.gateway.handle_code import CodeHandlers
from the0.gateway.handle_logs import LogHandlers
from the0.gateway.handle_reports import ReportHandlers
from the0.gateway.handle_state import StateHandlers
from the0.gateway.services import Services
from the0.http import App, new_app
from the0.launches import Launch, LaunchStore

Answer = Coroutine[Any, Any, HTTPResponse | None]
Handler = Callable[[Request, Launch], Answer]

_SILENCE_SEC = 3600.0  # bodies and calls to the store have bounds of their own


def make_app(services: Services) -> App:
    """All routes of docs/gateway.md over `services`."""

    async def authorize(request: Request) -> None:
        with services.metrics.refusals():
            authorization = request.headers.get("authorization")
            request.ctx.launch = authenticated(services.launches, authorization)

    def bounded(handler: Handler) -> Callable[[Request], Answer]:
        async def handle(request: Request) -> HTTPResponse | None:
            launch: Launch = request.ctx.launch
            with services.metrics.refusals(), services.in_flight.enter(launch.launch):
                return await handler(request, launch)

        return handle

    app = new_app("gateway", authorize=authorize, response_timeout_sec=_SILENCE_SEC)
    reports, state = ReportHandlers(services), StateHandlers(services)
    for method, path, handler in (
        ("GET", "/v1/launch", reports.get_launch),
        ("POST", "/v1/status", with_job(reports.post_status)),
        ("PUT", "/v1/result", with_job(reports.put_result)),
        ("GET", "/v1/code", with_job(CodeHandlers(services).get)),
        ("GET", "/v1/state", with_job(state.get)),
        ("HEAD", "/v1/state", with_job(state.head)),
        ("PUT", "/v1/state", with_job(state.put)),
        ("POST", "/v1/logs", with_job(LogHandlers(services).post)),
    ):
        name = f"{method} {path}".replace("/", "_").replace(" ", "")
        streams = method in ("POST", "PUT")
        app.add_route(bounded(handler), path, methods=[method], name=name, stream=streams)
    return app


def with_job(handler: Handler) -> Handler:
    """What only a launch that has its bot may ask for."""

    async def handle(request: Request, launch: Launch) -> HTTPResponse | None:
        if launch.is_waiting:
            raise NoJob("this launch waits for its query; until then it has no bot")
        return await handler(request, launch)

    return handle


def authenticated(launches: LaunchStore, authorization: str | None) -> Launch:
    """The launch whose token this is. Raises UnknownLaunch without saying what was wrong."""
    scheme, _, credentials = (authorization or "").partition(" ")
    name, _, token = credentials.strip().partition(".")
    launch = launches.read(name) if scheme.lower() == "bearer" else None
    if launch is None or not launch.accepts(token):
        raise UnknownLaunch("no such launch, or not its token; the container may be removed")
    return launch
