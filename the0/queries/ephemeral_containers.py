"""Containers for one query each: made, given their job, removed whatever happened."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from the0.core.engine import Engine
from the0.core.images import Image
from the0.core.launcher import Launcher, Prepared
from the0.errors import Conflict, NotFound, The0Error, Unavailable
from the0.launches import LaunchStore
from the0.models import Bot, ContainerState, Purpose, Resources
from the0.owned import OwnedWork
from the0.pool import BlockingPool
from the0.queries.pool import Member
from the0.storage.results import ResultStore

REMOVE_SEC = 60.0
LAST_WORDS_SEC = 2.0
"""After its answer a container gets so long to bring its log home."""

_LOOK_SEC = 0.1
_OVER = (ContainerState.EXITED, ContainerState.DEAD)

log = logging.getLogger("the0.queries")


@dataclass(frozen=True)
class Workshop:
    """What containers are made with. The blocking parts run in the pools beside them."""

    engine: Engine
    launcher: Launcher
    launches: LaunchStore
    files: BlockingPool
    results: ResultStore
    storage: BlockingPool

    def close(self) -> None:
        """Take no more calls."""
        self.engine.close()
        self.files.close()
        self.storage.close()


class Containers:
    """All query containers of this installation belong to one object of this class: what it does
    not know is left over from a process that died, and is removed by :meth:`sweep`."""

    def __init__(self, workshop: Workshop) -> None:
        self._with = workshop
        self._owned = OwnedWork()
        self._known: dict[str, str] = {}
        self._leaving: set[str] = set()

    @property
    def engine(self) -> Engine:
        return self._with.engine

    async def make(self, image: Image, resources: Resources) -> Member:
        """A started container that waits for its job. When the caller is cancelled, it is made
        all the same, and removed."""
        prepared = self._with.launcher.prepare_query(image, resources)
        making = self._owned.begin(self._make(prepared, image), "query container")
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(self._made_in_vain)
            raise

    async def _make(self, prepared: Prepared, image: Image) -> Member:
        at, launch = self._with, prepared.launch.launch
        self._known[launch] = ""
        try:
            await at.files.call(at.launches.write, prepared.launch)
            container = await at.engine.call(at.engine.executor.create, prepared.spec)
            self._known[launch] = container.ref
            await at.engine.call(at.engine.executor.start, container.ref)
        except BaseException:
            self._begin_removal(launch, 0.0)
            raise
        born = asyncio.get_running_loop().time()
        return Member(launch, container.ref, image.identity, born)

    def _made_in_vain(self, making: asyncio.Task[Member]) -> None:
        if not making.cancelled() and making.exception() is None:
            self.dismiss(making.result())

    async def assign(self, member: Member, bot: Bot, document: Mapping[str, Any]) -> None:
        """Give a waiting container its job."""
        at = self._with
        await at.files.call(self._assign, member.launch, bot, document)

    def _assign(self, launch: str, bot: Bot, document: Mapping[str, Any]) -> None:
        launches = self._with.launches
        waiting = launches.read(launch)
        if waiting is None:
            raise Unavailable("The query's container was taken away before it had its job.")
        launches.write(waiting.assigned(bot.id, bot.code_key, document))

    def dismiss(self, member: Member, patience_sec: float = 0.0) -> None:
        """Remove a container in the background, once it has ended or `patience_sec` are over."""
        self._begin_removal(member.launch, patience_sec)

    def _begin_removal(self, launch: str, patience_sec: float) -> None:
        if launch not in self._leaving:
            self._leaving.add(launch)
            self._owned.begin(self._remove_known(launch, patience_sec), f"removal of {launch}")

    async def _remove_known(self, launch: str, patience_sec: float) -> None:
        try:
            if ref := self._known.get(launch):
                await self._remove(ref, patience_sec)
            await self._forget(launch)
        except The0Error as error:
            log.warning("a query's container is removed later: %s", error)
        finally:
            # From here on the sweep takes care of what may be left.
            self._known.pop(launch, None)
            self._leaving.discard(launch)

    async def _remove(self, ref: str, patience_sec: float) -> None:
        engine, loop = self._with.engine, asyncio.get_running_loop()
        begun, pause_sec = loop.time(), _LOOK_SEC
        while True:
            if loop.time() >= begun + patience_sec:
                await engine.call(engine.executor.kill, ref)
                await engine.call(engine.executor.unpause, ref)
            try:
                await engine.call(engine.executor.remove, ref)
            except Conflict:
                if loop.time() > begun + REMOVE_SEC:
                    raise
                await asyncio.sleep(pause_sec)
                pause_sec = min(1.0, pause_sec * 1.5)
            else:
                return

    async def _forget(self, launch: str) -> None:
        """Take the rights of a launch whose container is gone."""
        at = self._with
        found = await at.files.call(at.launches.read, launch)
        answered = await at.files.call(at.launches.result, launch) is not None
        await at.files.call(at.launches.remove, launch)
        if found and answered:
            await at.storage.call(at.results.remove, found.bot_id, launch)

    async def ended(self, member: Member) -> bool:
        """Whether the container is over, for certain. Raises Unavailable."""
        engine = self._with.engine
        try:
            found = await engine.call(engine.executor.inspect, member.ref)
        except NotFound:
            return True
        return found.state in _OVER

    async def sweep(self) -> set[str]:
        """Begin to remove what a process that died left over; the launches of those that we know
        whose containers are over. Raises Unavailable."""
        at = self._with
        started = {launch for launch, ref in self._known.items() if ref}
        containers = await at.engine.call(at.engine.executor.list)
        ours = [one for one in containers if one.purpose is Purpose.QUERY]
        for one in ours:
            if one.launch not in self._known:
                log.info("removing the left over query container %s", one.name)
                self._known[one.launch] = one.ref
                self._begin_removal(one.launch, 0.0)
        for launch in await at.files.call(at.launches.all):
            if launch.kind == "query" and launch.launch not in self._known:
                await self._forget(launch.launch)
        return started - {one.launch for one in ours if one.state not in _OVER}

    async def close(self, within_sec: float) -> None:
        """Remove all that there is, also what is being made just now."""
        until = asyncio.get_running_loop().time() + within_sec
        while self._known and asyncio.get_running_loop().time() < until:
            for launch in [launch for launch, ref in self._known.items() if ref]:
                self._begin_removal(launch, 0.0)
            await asyncio.sleep(_LOOK_SEC)
        await self._owned.close(0.0)
        self._with.close()
