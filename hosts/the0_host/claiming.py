"""What every role that acts does first: claim the installation on its engine."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import closing

from the0.config import Settings
from the0.core.installation import Claim, claim
from the0.core.site import Site
from the0.errors import Conflict, Unavailable
from the0.launches import LaunchStore
from the0.models import Container
from the0.plugin.interfaces import Executor, PluginArgs, Storage
from the0.plugin.interfaces import Scheduler as SchedulerPlugin
from the0.plugin.manager import PluginManager
from the0.pool import BlockingPool
from the0.repository import Repository

CLAIM_RETRY_SEC = 2.0

log = logging.getLogger("the0.host")


class Claiming:
    """Waits until MongoDB and the engine have answered once; `waiting_for` says which has not."""

    def __init__(
        self, settings: Settings, plugins: PluginManager, repository: Repository, storage: Storage
    ) -> None:
        self.settings = settings
        self.waiting_for = "nothing asked yet"
        self.alive_at = time.monotonic()
        self.installation = ""
        self._plugins = plugins
        self._repository = repository
        self._storage = storage

    async def site(self, stop: asyncio.Event) -> Site | None:
        """The installation, once it is certain that it is ours; None when `stop` came first. Its
        executor is the caller's to close.

        Raises Conflict when this installation is another engine's, or when the predecessor's
        containers still run here.
        """
        while not stop.is_set():
            self.alive_at = time.monotonic()
            try:
                return self._site(await self._claim_once())
            except Unavailable as error:
                self.waiting_for = error.message
                log.warning("the start has to wait: %s", error)
            try:
                async with asyncio.timeout(CLAIM_RETRY_SEC):
                    await stop.wait()
            except TimeoutError:
                continue
        return None

    def scheduler(self) -> SchedulerPlugin:
        """The site's scheduler plugin, which is the caller's to close. Raises PluginError."""
        cls = self._plugins.schedulers.get(self.settings.scheduler.plugin)
        return cls(self._args(self.installation))

    async def _claim_once(self) -> Executor:
        cls = self._plugins.executors.get(self.settings.executor.plugin)
        pool = BlockingPool("The container engine", 2, self.settings.executor.timeout_sec)
        visitor = cls(self._args(""))
        try:
            engine = await pool.call(visitor.info)
            if foreign := await pool.call(visitor.foreign):
                raise Conflict(_cut_over(foreign))
        finally:
            visitor.close()
            pool.close()
        mine = Claim(
            self.settings.general.instance,
            engine.id,
            self.settings.state_dir.root,
            self._containers_of,
        )
        self.installation = await claim(self._repository, mine)
        await self._repository.make_bot_indexes()
        await self._repository.make_run_indexes()
        for warning in engine.warnings:
            log.warning("%s", warning)
        return cls(self._args(self.installation))

    def _containers_of(self, installation: str) -> Sequence[Container]:
        cls = self._plugins.executors.get(self.settings.executor.plugin)
        with closing(cls(self._args(installation))) as executor:
            return executor.list()

    def _site(self, executor: Executor) -> Site:
        return Site(
            settings=self.settings,
            args=self._args(self.installation),
            repository=self._repository,
            executor=executor,
            storage=self._storage,
            runtimes=self._plugins.runtimes,
            launches=LaunchStore(self.settings.state_dir.launches),
        )

    def _args(self, installation: str) -> PluginArgs:
        settings = self.settings
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
