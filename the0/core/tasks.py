"""Named tasks with an owner: one that ends unasked is reported at once, all stop in order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any

from the0.errors import The0Error

STRETCH_SEC = 0.005

log = logging.getLogger(__name__)


class Breath:
    """Lets all others have a turn in between, where long work has no other pause: by the time that
    it took, as its parts may differ a thousandfold."""

    def __init__(self, stretch_sec: float = STRETCH_SEC) -> None:
        self._stretch_sec = stretch_sec
        self._since = time.monotonic()

    async def take(self) -> None:
        """After each part of the work."""
        if time.monotonic() - self._since >= self._stretch_sec:
            await asyncio.sleep(0)
            self._since = time.monotonic()


class Tasks:
    """The long-running tasks of one owner, stopped newest first.

    A task that returns or raises before :meth:`stop` is a fault: it is logged, and
    :meth:`failure` returns it, so that the owner ends instead of running on without it.
    """

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._failed: asyncio.Future[The0Error] = asyncio.get_running_loop().create_future()
        self._stopping = False

    def start(self, name: str, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)
        return task

    async def failure(self) -> The0Error:
        """Wait until a task ends that was not asked to; the error names it."""
        return await asyncio.shield(self._failed)

    async def stop(self, timeout_sec: float = 10.0) -> None:
        """Cancel all, the newest first, each with a time-out."""
        self._stopping = True
        for task in reversed(self._tasks):
            task.cancel()
            _, late = await asyncio.wait({task}, timeout=timeout_sec)
            if late:
                log.error("task %s did not end within %g s", task.get_name(), timeout_sec)
        self._tasks.clear()

    def _ended(self, task: asyncio.Task[None]) -> None:
        cause = None if task.cancelled() else task.exception()
        if self._stopping:
            return
        log.error("task %s ended unasked", task.get_name(), exc_info=cause)
        if not self._failed.done():
            if isinstance(cause, The0Error):
                self._failed.set_result(cause)
            else:
                self._failed.set_result(
                    The0Error(f"task {task.get_name()} ended unasked: {cause!r}")
                )
