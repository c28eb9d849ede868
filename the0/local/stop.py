"""`the0 local stop`: bots first, each with its state stored, then the host and the servers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from the0.errors import The0Error
from the0.local import supervision
from the0.local.paths import LocalPaths
from the0.local.processes import HOST
from the0.local.site import Site, alone, remembered_installation
from the0.models import Container, ContainerState, Purpose
from the0.plugin.interfaces import Executor, Progress
from the0.settings_sources import without_settings

LEFTOVER_STOP_SEC = 60.0
ALIVE = (ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING)


@dataclass(frozen=True)
class Stopped:
    """`bots` were stopped; `kept` are volumes, by bot, whose state could not be stored; `data` is
    where the state and logs of all others lie."""

    bots: int
    data: str
    kept: Mapping[str, Sequence[str]] = field(default_factory=dict)


@runtime_checkable
class Dismantles(Protocol):
    """An executor that can take away what its `prepare` made."""

    def dismantle(self) -> None: ...


def stop(progress: Progress, environ: Mapping[str, str] = os.environ) -> Stopped:
    """Stop everything; no error when nothing runs. Raises The0Error for what prevents it."""
    paths = LocalPaths.of(environ)
    data = str(paths.root / "data")
    if not paths.settings.exists():
        return Stopped(0, data)
    with alone(paths):
        site = Site.load(paths)
        installation = remembered_installation(paths)
        if installation:
            with site.executor(installation) as executor:
                stopping = _Stopping(site, executor, installation, progress)
                stopped = stopping.run()
        else:
            stopped = Stopped(0, data)
        if supervision.look(paths).pid is not None:
            progress.step("Stopping the servers")
            supervision.end(paths)
        return stopped


@dataclass(frozen=True)
class _Stopping:
    """What it takes to end the bots of one installation and clear the engine of it."""

    site: Site
    executor: Executor
    installation: str
    progress: Progress

    def run(self) -> Stopped:
        containers = self.executor.list()
        volumes = self.executor.bot_volumes()
        alive = sum(one.state in ALIVE for one in containers if one.purpose is Purpose.BOT)
        if containers or volumes or supervision.look(self.site.paths).runs(HOST):
            self._stop_bots(alive)
        kept = self._remove_volumes() if volumes or containers else {}
        if isinstance(self.executor, Dismantles):
            self.executor.dismantle()
        return Stopped(alive, str(self.site.paths.root / "data"), kept)

    def _stop_bots(self, alive: int) -> None:
        """The host stops its bots as it ends, with the gateway still there for their state. Bots
        that run without a host get one for that."""
        paths = self.site.paths
        servers = supervision.wanted_servers(paths)
        if alive and not supervision.look(paths).runs(HOST):
            self.progress.step(f"Starting the host, so that it can stop {_bots(alive)}")
            self._have([*servers, HOST])
        self.progress.step(f"Stopping {_bots(alive)} (each has its grace period) and the host")
        self._have(servers)
        for container in self.executor.list():
            self._remove(container)

    def _have(self, names: Sequence[str]) -> None:
        environ = without_settings(os.environ, self.site.settings.sections)
        supervision.want(self.site.paths, names, environ)
        supervision.await_wanted(self.site.paths, names, supervision.STOP_TIMEOUT_SEC)

    def _remove(self, container: Container) -> None:
        """One that the host did not get to, or that ended before it looked."""
        self.executor.stop(container.ref, LEFTOVER_STOP_SEC)
        self.executor.remove(container.ref)

    def _remove_volumes(self) -> Mapping[str, Sequence[str]]:
        """Remove the volumes of bots whose state is in the store; returns the others."""
        volumes = self.executor.bot_volumes()
        try:
            unsaved = self.site.unsaved_bots(self.installation)
        except The0Error as error:
            self.progress.step(f"All volumes are kept, as nothing tells what was stored: {error}")
            return volumes
        for bot_id in volumes.keys() - set(unsaved):
            self.executor.remove_bot_volumes(bot_id)
        return {bot_id: names for bot_id, names in volumes.items() if bot_id in unsaved}


def _bots(count: int) -> str:
    return "1 bot" if count == 1 else f"{count} bots"
