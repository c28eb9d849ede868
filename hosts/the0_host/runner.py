"""The role `runner`: claims the installation and runs the BotService."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry

from the0.core.bot_service import BotService
from the0.errors import Unavailable
from the0.models import JSON
from the0_host.claiming import Claiming
from the0_host.role_app import Command, named, named_or_all, serve_role

STUCK_MARGIN_SEC = 60.0

log = logging.getLogger("the0.host")


class Runner:
    """One process's runner, leader already. Until MongoDB and the engine have answered once there
    is no service, and readiness says what is waited for."""

    name = "runner"

    def __init__(self, claiming: Claiming) -> None:
        self._claiming = claiming
        self._settings = claiming.settings
        self._service: BotService | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Serve and work until `stop`. Raises Conflict when this installation is another
        engine's, or when the predecessor's containers still run here."""
        async with serve_role(self._settings, self, self.commands):
            site = await self._claiming.site(stop)
            if site is None:
                return
            try:
                self._service = BotService(site)
                await self._service.run(stop)
            finally:
                site.executor.close()

    # --- what it tells of itself ---

    @property
    def registry(self) -> CollectorRegistry:
        return self._service.state.metrics.registry if self._service else CollectorRegistry()

    def health_fault(self) -> str:
        runner, executor = self._settings.runner, self._settings.executor
        allowed = runner.reconcile_interval_sec + 3 * executor.timeout_sec + STUCK_MARGIN_SEC
        service = self._service
        silent = service.alive_sec if service else time.monotonic() - self._claiming.alive_at
        return f"no pass for {silent:.0f} s" if silent > allowed else ""

    def readiness(self) -> Mapping[str, str]:
        if self._service is None:
            return {"start": self._claiming.waiting_for}
        return {name: one.fault for name, one in self._service.standings.items()}

    def status(self) -> Mapping[str, Any]:
        about = {
            "instance": self._settings.general.instance,
            "installation": self._claiming.installation,
            "leader": True,
        }
        return {**about, **self._running().status()}

    # --- what it is told ---

    @property
    def commands(self) -> Mapping[str, Command]:
        return {"wake": self._wake, "purge": self._purge}

    async def _wake(self, body: JSON) -> Mapping[str, JSON]:
        bot_id = named_or_all(body, "bot_id")
        await self._running().wake(bot_id)
        return {"bot_id": bot_id}

    async def _purge(self, body: JSON) -> Mapping[str, JSON]:
        bot_id = named(body, "bot_id")
        await self._running().purge(bot_id)
        return {"bot_id": bot_id}

    def _running(self) -> BotService:
        if self._service is None:
            waiting_for = self._claiming.waiting_for
            raise Unavailable(f"The runner is starting; it waits for: {waiting_for}")
        return self._service
