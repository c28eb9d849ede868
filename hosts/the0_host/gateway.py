"""What the role `gateway` tells of itself, in whichever process serves containers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from prometheus_client import CollectorRegistry

from the0.config import Settings
from the0.gateway.service import Gateway
from the0_host.role_app import serve_role


class GatewayRole:
    """Health, status and metrics of the gateway, on the role's socket while it serves."""

    name = "gateway"

    def __init__(self, settings: Settings, gateway: Gateway, *, tcp: bool) -> None:
        self._settings = settings
        self._gateway = gateway
        self._tcp = tcp

    async def run(self, stop: asyncio.Event) -> None:
        """Serve containers until `stop`."""
        await self._gateway.run(stop, beside=self._serve)

    def _serve(self) -> AbstractAsyncContextManager[None]:
        return serve_role(self._settings, self, {}, tcp=self._tcp)

    @property
    def registry(self) -> CollectorRegistry:
        return self._gateway.metrics.registry

    def health_fault(self) -> str:
        """Whoever reads this was answered by the loop that it asks about."""
        return ""

    def readiness(self) -> Mapping[str, str]:
        """It depends on the disk alone: what the store does not take is kept there."""
        return {}

    def status(self) -> Mapping[str, Any]:
        return {"instance": self._settings.general.instance}
