"""Keeps containers waiting for queries, one pool for each image, and hands them out."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from the0.config import Settings
from the0.core.engine import Engine
from the0.core.launcher import Launcher
from the0.core.plan import Hold
from the0.core.runtimes import Ready, Runtimes
from the0.errors import The0Error, Unavailable
from the0.launches import LaunchStore
from the0.models import Resources
from the0.owned import OwnedWork
from the0.plugin.interfaces import Executor, PluginArgs, Storage
from the0.plugin.manager import PluginManager
from the0.pool import BlockingPool
from the0.queries.ephemeral_containers import LAST_WORDS_SEC, Containers, Workshop
from the0.queries.pool import Member, Pool
from the0.storage.results import ResultStore

TEND_SEC = 1.0
LOOK_SEC = 30.0
IMAGE_SEC = 10.0
RETRY_SEC = 5.0
CLOSE_SEC = 20.0
MADE_AT_ONCE = 2
"""Half of what an engine takes at its best: the other half is for those who wait already."""

log = logging.getLogger("the0.queries")


@dataclass(frozen=True)
class KeeperSite:
    """What a keeper works with; `args` and `executor` know the installation."""

    settings: Settings
    args: PluginArgs
    executor: Executor
    plugins: PluginManager
    storage: Storage
    launches: LaunchStore


@dataclass(frozen=True)
class _Kept:
    """A pool, and the name of a runtime by which its image is looked up."""

    runtime: str
    pool: Pool


class Keeper:
    """The query containers of an installation. One process at a time has one."""

    def __init__(self, site: KeeperSite) -> None:
        settings = site.settings
        self.launcher = Launcher(settings, site.args.installation)
        self.containers = Containers(_workshop(site, self.launcher))
        self._settings = settings.query_pool
        self._engine = self.containers.engine
        self._runtimes = Runtimes(site.plugins.runtimes, site.args, self._engine, self.launcher)
        self._names = site.plugins.runtimes.names()
        # By the image's tag: a site may have one image for all runtimes.
        self._pools: dict[str, _Kept] = {}
        self._looked_at: dict[str, float] = {}
        self._owned = OwnedWork()
        self._wake = asyncio.Event()
        self._next_look = 0.0
        self._pause_until = 0.0
        self._prepared = False
        self._preparing = asyncio.Lock()

    async def open(self) -> None:
        """Remove what is left over. Raises The0Error when it cannot."""
        await self._look()

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the pools as the demand wants them, until `stop`."""
        while not stop.is_set():
            try:
                await self._tend()
            except The0Error as error:
                log.warning("the pools of query containers have to wait: %s", error)
                self._pause()
            try:
                async with asyncio.timeout(TEND_SEC):
                    await self._wake.wait()
            except TimeoutError:
                continue
            self._wake.clear()

    async def close(self) -> None:
        """Remove all containers."""
        await self._owned.close(0.0)
        await self.containers.close(CLOSE_SEC)

    async def ready(self, runtime: str) -> Ready:
        """What containers of this runtime are made of now. Raises Unavailable saying why not."""
        now = asyncio.get_running_loop().time()
        if self._looked_at.get(runtime, -math.inf) < now - IMAGE_SEC:
            await self._runtimes.look(runtime)
            self._looked_at[runtime] = now
        found = self._runtimes.get(runtime)
        if isinstance(found, Hold):
            self._looked_at.pop(runtime, None)
            raise Unavailable(found.message)
        return found

    @asynccontextmanager
    async def container(
        self, ready: Ready, resources: Resources, *, fresh: bool = False
    ) -> AsyncIterator[Member]:
        """A container for one job (`fresh`: made for it), removed in the background afterwards:
        after a moment for its log when all went well, else at once."""
        if fresh:
            # One that waited was dead; others may be.
            self._next_look = 0.0
        member = None if fresh else self._waiting(ready, resources)
        if member is None:
            member = await self._make(ready, resources)
        patience_sec = 0.0
        try:
            yield member
            patience_sec = LAST_WORDS_SEC
        finally:
            self.containers.dismiss(member, patience_sec)
            self._wake.set()

    def _waiting(self, ready: Ready, resources: Resources) -> Member | None:
        """One that waits; all of them have the site's default limits."""
        if resources != Resources():
            return None
        pool = self._pool_of(ready)
        return pool.take(ready.image.identity, asyncio.get_running_loop().time())

    def _pool_of(self, ready: Ready) -> Pool:
        fresh = _Kept(ready.runtime.name, Pool(self._settings))
        return self._pools.setdefault(ready.image.tag, fresh).pool

    # --- tending ---

    async def _tend(self) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._pause_until:
            return
        if now >= self._next_look:
            await self._look()
        for kept in list(self._pools.values()):
            if not len(kept.pool) and not kept.pool.lacking(now):
                continue
            # Without its image a pool stays as it is.
            with suppress(Unavailable):
                self._tend_pool(kept.pool, await self.ready(kept.runtime), now)

    def _tend_pool(self, pool: Pool, ready: Ready, now: float) -> None:
        for one in pool.surplus(ready.image.identity, now):
            self.containers.dismiss(one)
        while pool.lacking(now) and self._coming < MADE_AT_ONCE:
            pool.coming += 1
            self._owned.begin(self._add(pool, ready), f"query container of {ready.image.tag}")

    @property
    def _coming(self) -> int:
        return sum(kept.pool.coming for kept in self._pools.values())

    async def _add(self, pool: Pool, ready: Ready) -> None:
        try:
            pool.put(await self._make(ready, Resources()))
        except The0Error as error:
            log.warning("no container could be made to wait for queries: %s", error)
            self._pause()
        finally:
            pool.coming -= 1
            self._wake.set()

    async def _make(self, ready: Ready, resources: Resources) -> Member:
        async with self._preparing:
            if not self._prepared:
                await self._prepare()
        return await self.containers.make(ready.image, resources)

    async def _prepare(self) -> None:
        """Networks and firewall as they should be: before the first container, and from then on."""
        await self._engine.call(self._engine.executor.prepare)
        self._prepared = True

    async def _look(self) -> None:
        """Nothing left over, and no dead ones in wait."""
        if self._prepared:
            await self._prepare()
        ended = await self.containers.sweep()
        for kept in self._pools.values():
            for one in kept.pool.lose(ended):
                self.containers.dismiss(one)
        if self._settings.min_waiting:
            await self._have_pools()
        self._next_look = asyncio.get_running_loop().time() + LOOK_SEC

    async def _have_pools(self) -> None:
        """Nobody needs to ask for what is to wait in any case."""
        for name in self._names:
            with suppress(Unavailable):
                self._pool_of(await self.ready(name))

    def _pause(self) -> None:
        self._pause_until = asyncio.get_running_loop().time() + RETRY_SEC


def _workshop(site: KeeperSite, launcher: Launcher) -> Workshop:
    settings = site.settings
    return Workshop(
        engine=Engine(site.executor, settings.executor.timeout_sec),
        launcher=launcher,
        launches=site.launches,
        files=BlockingPool("The state directory", 4, 60.0, 4096),
        results=ResultStore(site.storage, settings.storage.query_results_bucket),
        storage=BlockingPool("The storage", 4, settings.storage.timeout_sec),
    )
