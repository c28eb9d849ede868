"""One installation as its services see it: its parts, and whether they answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from the0.config import Settings
from the0.core.dependencies import Dependencies, Probe
from the0.core.engine import Engine
from the0.core.plan import Hold
from the0.core.reconcile import free_disk_fault
from the0.errors import Unavailable
from the0.events import EventSource
from the0.launches import LaunchStore
from the0.plugin.interfaces import Executor, PluginArgs, Storage
from the0.plugin.registry import Registry
from the0.pool import BlockingPool
from the0.repository import Repository

CONNECTED_POLL_SEC = 0.2


@dataclass(frozen=True)
class Site:
    """What one installation consists of; `args` is what its plugins are made with."""

    settings: Settings
    args: PluginArgs
    repository: Repository
    executor: Executor
    storage: Storage
    runtimes: Registry[Any]
    launches: LaunchStore


def host_probes(
    site: Site, engine: Engine, storage_pool: BlockingPool, events: EventSource | None
) -> Mapping[str, Probe]:
    """How to ask each dependency whether it answers."""

    async def storage() -> None:
        await storage_pool.call(site.storage.ping)

    async def the_engine() -> None:
        if engine.fault:
            raise Unavailable(engine.fault)

    async def nats() -> None:
        while events and not events.connected:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(CONNECTED_POLL_SEC)

    async def disk() -> None:
        settings = site.settings
        minimum = settings.runner.min_free_disk_mb
        if fault := free_disk_fault(str(settings.state_dir.root), minimum):
            raise Unavailable(fault)

    probes = {
        "mongodb": site.repository.ping,
        "storage": storage,
        "engine": the_engine,
        "disk": disk,
    }
    return {**probes, "nats": nats} if events else probes


def host_hold(dependencies: Dependencies, *, prepared: bool) -> Hold | None:
    """Why nothing may be started at the moment; `prepared` tells whether the networks are there."""
    if not prepared:
        return Hold("NetworkNotReady", "NotMade", "The bots' networks are not ready yet.")
    if fault := dependencies.fault("storage"):
        return Hold("StorageUnavailable", "NoAnswer", f"The storage cannot be used: {fault}")
    if fault := dependencies.fault("disk"):
        return Hold("DiskLow", "BelowWatermark", fault)
    return None


async def wait_for(event: asyncio.Event, seconds: float) -> None:
    """Until `event` is set, or the time is over."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
