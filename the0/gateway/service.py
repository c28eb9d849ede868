"""The gateway's life: one process of the installation serves, the others stand by."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import AsyncIterator, Callable

from the0.config import Settings
from the0.errors import The0Error
from the0.gateway.app import make_app
from the0.gateway.listener import BoundedListener, raise_file_limit
from the0.gateway.metrics import GatewayMetrics
from the0.gateway.services import Publisher, Services, make_services
from the0.http import start_app, unix_socket
from the0.plugin.interfaces import Storage

log = logging.getLogger("the0.gateway")

Beside = Callable[[], contextlib.AbstractAsyncContextManager[None]]

LOCK_POLL_SEC = 0.05
CLOSE_SEC = 5.0
_BUCKETS_RETRY_SEC = 10.0
_SOCKET_MODE = 0o666  # every container's user connects; what it may do is its token's business


class Gateway:
    """Serves containers on `settings.state_dir.gateway_socket` while it holds the lock.

    `storage` is the chosen storage plugin, `publisher` where live log text goes; both belong to
    the caller.
    """

    def __init__(self, settings: Settings, storage: Storage, publisher: Publisher) -> None:
        self._settings = settings
        self._storage = storage
        self._publisher = publisher
        self.metrics = GatewayMetrics()
        self.serving = asyncio.Event()

    async def run(self, stop: asyncio.Event, beside: Beside = contextlib.nullcontext) -> None:
        """Serve until `stop` is set; wait as long as another process does. Raises what an owned
        task dies of. What `beside` makes is open while this process holds the lock."""
        self._settings.state_dir.make()
        async with self._lock(stop) as held:
            if held:
                async with beside():
                    await self._serve(stop)

    async def _serve(self, stop: asyncio.Event) -> None:
        services = make_services(self._settings, self._storage, self._publisher, self.metrics)
        services.code.clear_scratch()
        services.state_copies.clear_scratch()
        socket = unix_socket(self._settings.state_dir.gateway_socket, _SOCKET_MODE, replace=True)
        # The other half is for the store, the spool and whatever else this process does.
        listener = BoundedListener(socket, total=raise_file_limit() // 2)
        running = await start_app(make_app(services), listener)
        upload = asyncio.create_task(services.uploader.run(), name="log upload")
        buckets = asyncio.create_task(_ensure_buckets(services), name="buckets")
        stopping = asyncio.create_task(stop.wait(), name="gateway stop")
        log.info("the gateway serves %s", self._settings.state_dir.gateway_socket)
        self.serving.set()
        try:
            await asyncio.wait({upload, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if upload.done():
                await upload
        finally:
            self.serving.clear()
            services.launch_watch.close()
            for task in (upload, buckets, stopping):
                task.cancel()
            await asyncio.gather(upload, buckets, stopping, return_exceptions=True)
            await running.close(CLOSE_SEC)
            await services.owned.close(CLOSE_SEC)
            await services.uploader.close(CLOSE_SEC)
            services.close()

    @contextlib.asynccontextmanager
    async def _lock(self, stop: asyncio.Event) -> AsyncIterator[bool]:
        """Hold gateway.lock; False when `stop` came first. The kernel frees it with the process."""
        handle = os.open(
            self._settings.state_dir.gateway_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            while not stop.is_set() and not _try_lock(handle):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOCK_POLL_SEC):
                        await stop.wait()
            yield not stop.is_set()
        finally:
            os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _ensure_buckets(services: Services) -> None:
    """Create what is missing; tried again until the store answers."""
    missing = list(services.buckets)
    while missing:
        try:
            await services.storage.call(services.plugin.ensure_bucket, missing[0])
            missing.pop(0)
        except The0Error as error:
            log.warning("bucket %s: %s", missing[0], error)
            await asyncio.sleep(_BUCKETS_RETRY_SEC)
