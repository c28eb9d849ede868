"""The host itself: health, status and metrics of its roles, plugins, doctor, the OpenAPI page."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from sanic import HTTPResponse
from sanic.response import raw

from the0.api import schemas
from the0.api.openapi import document
from the0.api.parts import Parts
from the0.api.roles import RoleAnswer, merged_metrics
from the0.api.routes import Answer, Call, Route

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
DOCTOR_SEC = 60.0


class Host:
    """Handlers of everything that is not about one bot."""

    def __init__(self, parts: Parts, all_routes: Callable[[], list[Route]]) -> None:
        self._parts = parts
        self._all_routes = all_routes

    def routes(self) -> list[Route]:
        return [*self._health(), *self._about()]

    def _health(self) -> list[Route]:
        roles = schemas.ROLES
        return [
            Route("GET", "/health", "health", "Always ok.", self.health, roles, public=True),
            Route(
                "GET",
                "/healthz",
                "healthz",
                "Whether the loop of each role moves.",
                self.healthz,
                roles,
                also={503: "One does not move, or does not run."},
                public=True,
            ),
            Route(
                "GET",
                "/readyz",
                "readyz",
                "Whether what each role depends on answers, by name.",
                self.readyz,
                roles,
                also={503: "Something does not answer."},
                public=True,
            ),
            Route("GET", "/status", "roles", "Status of each role.", self.status, roles),
            Route(
                "GET",
                "/metrics",
                "metrics",
                "Prometheus metrics of all roles; the label `role` tells them apart.",
                self.metrics,
                schemas.TEXT,
                media="text/plain",
            ),
        ]

    def _about(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/openapi.json",
                "openapi",
                "This document.",
                self.openapi,
                schemas.ANY_OBJECT,
                public=True,
            ),
            Route(
                "GET",
                "/api/v1/status",
                "status",
                "Status of each role, as `/status`.",
                self.status,
                schemas.ROLES,
            ),
            Route(
                "GET",
                "/api/v1/plugins",
                "list_plugins",
                "Installed plugins.",
                self.plugins,
                schemas.PLUGIN_LIST,
            ),
            Route(
                "GET",
                "/api/v1/doctor",
                "doctor",
                "Check what this host depends on.",
                self.doctor,
                schemas.CHECK_LIST,
            ),
        ]

    async def health(self, _: Call) -> Answer:
        return Answer({"status": "ok"})

    async def healthz(self, _: Call) -> Answer:
        return _together(await self._parts.roles.ask_all("/healthz"))

    async def readyz(self, _: Call) -> Answer:
        return _together(await self._parts.roles.ask_all("/readyz"))

    async def status(self, _: Call) -> Answer:
        answers = await self._parts.roles.ask_all("/status")
        return Answer(_together(answers).value)

    async def metrics(self, _: Call) -> HTTPResponse:
        answers = await self._parts.roles.ask_all("/metrics")
        return raw(merged_metrics(answers), content_type=PROMETHEUS)

    async def openapi(self, _: Call) -> Answer:
        return Answer(document(self._all_routes(), version("the0")))

    async def plugins(self, _: Call) -> Answer:
        found = [dataclasses.asdict(plugin) for plugin in self._parts.plugins.plugins()]
        return Answer({"plugins": found})

    async def doctor(self, _: Call) -> Answer:
        parts = self._parts
        checks = await parts.work.call_within(DOCTOR_SEC, _checks, parts)
        return Answer({"ok": all(one["status"] != "fail" for one in checks), "checks": checks})


def _checks(parts: Parts) -> list[dict[str, Any]]:
    from the0.doctor import run_checks  # noqa: PLC0415 - loads much, and is asked for rarely

    return [dataclasses.asdict(one) for one in run_checks(parts.settings, parts.plugins)]


def _together(answers: list[RoleAnswer]) -> Answer:
    ok = all(answer.ok for answer in answers)
    roles = {answer.role: _said(answer) for answer in answers}
    return Answer({"status": "ok" if ok else "failing", "roles": roles}, 200 if ok else 503)


def _said(answer: RoleAnswer) -> Any:
    return answer.value if answer.status else {"status": "down", "message": answer.text}
