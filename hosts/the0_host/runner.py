"""The role `runner`: claims the installation and runs the BotService."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from prometheus_client import CollectorRegistry

from the0.config import Settings
from the0.core.bot_service import BotService
from the0.core.installation import Claim, claim
from the0.core.site import Site
from the0.errors import Conflict, Unavailable
from the0.launches import LaunchStore
from the0.models import Container
from the0.plugin.interfaces import Executor, PluginArgs, Storage
from the0.plugin.manager import PluginManager
from the0.pool import BlockingPool
from the0.repository import Repository
from the0_host.role_app import serve_role

CLAIM_RETRY_SEC = 2.0
STUCK_MARGIN_SEC = 60.0

log = logging.getLogger("the0.host")


class Runner:
    """One process's runner, leader already. Until MongoDB and the engine have answered once there
    is no service, and readiness says what is waited for."""

    name = "runner"

    def __init__(
        self, settings: Settings, plugins: PluginManager, repository: Repository, storage: Storage
    ) -> None:
        self._settings = settings
        self._plugins = plugins
        self._repository = repository
        self._storage = storage
        self._service: BotService | None = None
        self._waiting_for = "nothing asked yet"
        self._alive_at = time.monotonic()
        self._installation = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Serve and work until `stop`. Raises Conflict when this installation is another
        engine's, or when the predecessor's containers still run here."""
        async with serve_role(self._settings, self, self):
            executor = await self._claim(stop)
            if executor is None:
                return
            try:
                self._service = BotService(self._site(executor))
                await self._service.run(stop)
            finally:
                executor.close()

    # --- what it tells of itself ---

    @property
    def registry(self) -> CollectorRegistry:
        return self._service.state.metrics.registry if self._service else CollectorRegistry()

    def health_fault(self) -> str:
        runner, executor = self._settings.runner, self._settings.executor
        allowed = runner.reconcile_interval_sec + 3 * executor.timeout_sec + STUCK_MARGIN_SEC
        service = self._service
        silent = service.alive_sec if service else time.monotonic() - self._alive_at
        return f"no pass for {silent:.0f} s" if silent > allowed else ""

    def readiness(self) -> Mapping[str, str]:
        if self._service is None:
            return {"start": self._waiting_for}
        return {name: one.fault for name, one in self._service.standings.items()}

    def status(self) -> Mapping[str, Any]:
        about = {
            "instance": self._settings.general.instance,
            "installation": self._installation,
            "leader": True,
        }
        return {**about, **self._running().status()}

    async def wake(self, bot_id: str | None) -> None:
        await self._running().wake(bot_id)

    async def purge(self, bot_id: str) -> None:
        await self._running().purge(bot_id)

    def _running(self) -> BotService:
        if self._service is None:
            raise Unavailable(f"The runner is starting; it waits for: {self._waiting_for}")
        return self._service

    # --- the start ---

    async def _claim(self, stop: asyncio.Event) -> Executor | None:
        """The executor of this installation, once it is certain that it is ours; None when
        `stop` came first."""
        while not stop.is_set():
            self._alive_at = time.monotonic()
            try:
                return await self._claim_once()
            except Unavailable as error:
                self._waiting_for = error.message
                log.warning("the runner cannot begin yet: %s", error)
            try:
                async with asyncio.timeout(CLAIM_RETRY_SEC):
                    await stop.wait()
            except TimeoutError:
                continue
        return None

    async def _claim_once(self) -> Executor:
        cls = self._plugins.executors.get(self._settings.executor.plugin)
        pool = BlockingPool("The container engine", 2, self._settings.executor.timeout_sec)
        visitor = cls(self._args(""))
        try:
            engine = await pool.call(visitor.info)
            if foreign := await pool.call(visitor.foreign):
                raise Conflict(_cut_over(foreign))
        finally:
            visitor.close()
            pool.close()
        mine = Claim(
            self._settings.general.instance,
            engine.id,
            self._settings.state_dir.root,
            self._containers_of,
        )
        self._installation = await claim(self._repository, mine)
        await self._repository.make_bot_indexes()
        for warning in engine.warnings:
            log.warning("%s", warning)
        return cls(self._args(self._installation))

    def _containers_of(self, installation: str) -> Sequence[Container]:
        cls = self._plugins.executors.get(self._settings.executor.plugin)
        with closing(cls(self._args(installation))) as executor:
            return executor.list()

    def _site(self, executor: Executor) -> Site:
        return Site(
            settings=self._settings,
            args=self._args(self._installation),
            repository=self._repository,
            executor=executor,
            storage=self._storage,
            runtimes=self._plugins.runtimes,
            launches=LaunchStore(self._settings.state_dir.launches),
        )

    def _args(self, installation: str) -> PluginArgs:
        settings = self._settings
        return PluginArgs(
            settings.general.instance, installation, settings.state_dir.root, settings.sections
        )


def _cut_over(foreign: object) -> str:
    names = ", ".join(str(name) for name in foreign) if isinstance(foreign, list | tuple) else ""
    return (
        "Containers of an earlier platform run on this engine, with the same bots perhaps: "
        f"{names}. Cut over like this: 1. stop the earlier platform's services, so that it starts "
        "nothing more; 2. `docker stop -t 60` each of these containers, so that it stores its "
        "state; 3. `docker rm` each of them; 4. start this host again."
    )
