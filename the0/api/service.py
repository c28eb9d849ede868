"""Serves the control API on its TCP port until it is told to stop."""

from __future__ import annotations

import asyncio
import logging

from the0.api.bots import Bots
from the0.api.custom_bots import CustomBots
from the0.api.host import Host
from the0.api.logs import Logs
from the0.api.parts import Parts
from the0.api.queries import Queries, error_of_query
from the0.api.roles import Roles
from the0.api.routes import Route
from the0.api.runs import Runs
from the0.api.token import api_token, bearer, is_loopback
from the0.config import Settings
from the0.http import App, new_app, start_app, tcp_socket
from the0.plugin.interfaces import Storage
from the0.plugin.manager import PluginManager
from the0.pool import BlockingPool
from the0.queries.request import MAX_SEC
from the0.queries.service import QueryHandler
from the0.repository import Repository

log = logging.getLogger("the0.api")

CLOSE_GRACE_SEC = 5.0
ARCHIVE_SLACK_SEC = 10.0
SILENCE_SEC = MAX_SEC + 30.0
"""Longer than any query may take."""


class ControlApi:
    """The control API of one installation.

    Bind errors come out of :meth:`run` before anything is served: Conflict for a taken address,
    InvalidSettings for one that others can reach where no token is set.
    """

    def __init__(
        self,
        settings: Settings,
        repository: Repository,
        storage: Storage,
        plugins: PluginManager,
        queries: QueryHandler,
    ) -> None:
        self._settings = settings
        self._queries = Queries(queries, public=is_loopback(settings.api.host))
        self._parts = Parts(
            settings=settings,
            repository=repository,
            storage=storage,
            plugins=plugins,
            roles=Roles(settings.state_dir.run),
            calls=BlockingPool("storage", 4, settings.storage.timeout_sec),
            work=BlockingPool("the host", 2, settings.archive.max_sec + ARCHIVE_SLACK_SEC),
        )

    def routes(self) -> list[Route]:
        """All routes, as the OpenAPI document shows them."""
        parts = self._parts
        return [
            *Host(parts, self.routes).routes(),
            *CustomBots(parts).routes(),
            *Bots(parts).routes(),
            *Runs(parts).routes(),
            *Logs(parts).routes(),
            *self._queries.routes(),
        ]

    def app(self, token: str) -> App:
        """The app that asks for `token`."""
        routes = self.routes()
        public = {route.path for route in routes if route.public}
        app = new_app(
            "the0-api",
            authorize=bearer(token, public),
            response_timeout_sec=SILENCE_SEC,
            reshape=error_of_query,
        )
        for route in routes:
            route.add_to(app)
        return app

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then let requests under way end."""
        api = self._settings.api
        app = self.app(api_token(api, self._settings.state_dir.token_file))
        running = await start_app(app, tcp_socket(api.host, api.port))
        log.info("control API on http://%s:%d", api.host, api.port)
        try:
            await stop.wait()
        finally:
            self._parts.closing.set()
            await running.close(CLOSE_GRACE_SEC)
            self._parts.calls.close()
            self._parts.work.close()
