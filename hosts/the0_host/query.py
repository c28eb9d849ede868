"""What the role `query` tells of itself; its work is the control API's and the query handler's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry

from the0.config import Settings
from the0.queries.service import QueryHandler
from the0_host.role_app import serve_role


class QueryRole:
    """Health, status and metrics of queries, on the role's socket."""

    name = "query"

    def __init__(self, settings: Settings, queries: QueryHandler, *, tcp: bool) -> None:
        self._settings = settings
        self._queries = queries
        self._tcp = tcp

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`."""
        async with serve_role(self._settings, self, {}, tcp=self._tcp):
            await stop.wait()

    @property
    def registry(self) -> CollectorRegistry:
        return self._queries.metrics.registry

    def health_fault(self) -> str:
        """Whoever reads this was answered by the loop that it asks about."""
        return ""

    def readiness(self) -> Mapping[str, str]:
        return self._queries.readiness()

    def status(self) -> Mapping[str, Any]:
        return {"instance": self._settings.general.instance, **self._queries.status()}
