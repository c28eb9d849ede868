"""What the gateway's handlers work with, made from settings and one storage plugin."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from the0.config import Settings
from the0.gateway.bounds import InFlight, RateLimit
from the0.gateway.metrics import GatewayMetrics
from the0.gateway.state_writer import StateWriter
from the0.gateway.uploader import LogUploader
from the0.launches import LaunchStore
from the0.owned import OwnedWork
from the0.plugin.interfaces import Storage
from the0.pool import BlockingPool
from the0.storage.cache import ArchiveCache, CacheRules
from the0.storage.log_spool import LogSpool
from the0.storage.logs import LogStore
from the0.storage.results import ResultStore
from the0.storage.state import StateStore
from the0.watch import FolderWatch

log = logging.getLogger("the0.gateway")

MIB = 1 << 20
STORAGE_THREADS = 16
DISK_THREADS = 4
DISK_TIMEOUT_SEC = 30.0
REQUESTS_AT_ONCE = 4
LOG_BURST_SEC = 8


class Publisher(Protocol):
    """Where live log text goes; :class:`the0.events.LogPublisher` is one."""

    def publish(self, bot_id: str, data: bytes) -> None:
        """Send `data` on, if somebody can be reached; never blocks or raises."""


@dataclass(frozen=True)
class Services:
    """Everything that outlives a request, while this process serves."""

    settings: Settings
    metrics: GatewayMetrics
    publisher: Publisher
    plugin: Storage
    storage: BlockingPool
    disk: BlockingPool
    launches: LaunchStore
    launch_watch: FolderWatch
    code: ArchiveCache
    state_copies: ArchiveCache
    states: StateStore
    state_writer: StateWriter
    spool: LogSpool
    uploader: LogUploader
    results: ResultStore
    in_flight: InFlight
    log_rate: RateLimit
    owned: OwnedWork

    @property
    def buckets(self) -> Sequence[str]:
        found = self.settings.storage
        return (
            found.code_bucket,
            found.state_bucket,
            found.logs_bucket,
            found.query_results_bucket,
        )

    def close(self) -> None:
        self.storage.close()
        self.disk.close()


def make_services(
    settings: Settings, plugin: Storage, publisher: Publisher, metrics: GatewayMetrics
) -> Services:
    """The services of one process; nothing is asked of the store yet."""
    dirs, names = settings.state_dir, settings.storage
    dirs.make()
    storage = BlockingPool("storage", STORAGE_THREADS, names.timeout_sec)
    disk = BlockingPool("the state directory", DISK_THREADS, DISK_TIMEOUT_SEC)
    launches = LaunchStore(dirs.launches)
    states = StateStore(plugin, names.state_bucket)
    spool = LogSpool(dirs.spool, settings.logs.day_max_mb * MIB)
    log_store = LogStore(plugin, names.logs_bucket)
    return Services(
        settings=settings,
        metrics=metrics,
        publisher=publisher,
        plugin=plugin,
        storage=storage,
        disk=disk,
        launches=launches,
        launch_watch=FolderWatch(dirs.launches),
        code=_code_cache(settings, plugin),
        state_copies=_state_cache(settings, plugin),
        states=states,
        state_writer=StateWriter(states, launches, storage),
        spool=spool,
        uploader=LogUploader(spool, log_store, settings.logs, storage=storage, disk=disk),
        results=ResultStore(plugin, names.query_results_bucket),
        in_flight=InFlight(REQUESTS_AT_ONCE),
        log_rate=RateLimit(
            settings.logs.rate_kb * 1024, settings.logs.rate_kb * 1024 * LOG_BURST_SEC
        ),
        owned=OwnedWork(),
    )


def _state_cache(settings: Settings, plugin: Storage) -> ArchiveCache:
    """What queries get, who only read it; bots are given what the store has."""
    size = settings.query_pool.state_cache_mb * MIB
    return ArchiveCache(
        plugin,
        settings.storage.state_bucket,
        settings.state_dir.state_cache,
        CacheRules("state", "query_pool.state_cache_mb", fixed=False),
        max_bytes=size,
        max_archive_bytes=size,
    )


def _code_cache(settings: Settings, plugin: Storage) -> ArchiveCache:
    return ArchiveCache(
        plugin,
        settings.storage.code_bucket,
        settings.state_dir.code_cache,
        CacheRules("code archive", "archive.max_mb", fixed=True),
        max_bytes=settings.archive.code_cache_mb * MIB,
        max_archive_bytes=settings.archive.max_mb * MIB,
    )
