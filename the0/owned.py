"""Work that ends even when the client that asked for it goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class OwnedWork:
    """Tasks that belong to whoever serves, not to a request: a lost connection cancels the handler
    that waits, but not what was begun on disk, in the store or in the engine."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def finish(self, work: Coroutine[Any, Any, T], name: str) -> T:
        """The outcome of `work`, which runs to its end whatever becomes of the caller."""
        return await asyncio.shield(self.begin(work, name))

    def begin(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run `work` to its end, for whoever wants to wait for it."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def close(self, grace_sec: float) -> None:
        """Wait for what is under way, then give it up."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_sec)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the caller has it; without one it is nobody's news
