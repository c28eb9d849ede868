"""One serial lane per bot; lanes run side by side.

Waking a lane costs nothing and never waits. A lane that is woken while it works runs once more
afterwards: the work looks at the newest intent each time, so nothing older is ever carried out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

log = logging.getLogger(__name__)


class Lanes:
    """`work(bot_id)` does all that is to be done for one bot and returns after how many seconds
    to ask again (None: when woken). It is never run twice at once for the same bot."""

    def __init__(self, work: Callable[[str], Awaitable[float | None]]) -> None:
        self._work = work
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._woken: set[str] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._closed = False

    def wake(self, bot_id: str) -> None:
        """Let the bot's lane look, now or right after what it does at the moment."""
        if self._closed:
            return
        self._cancel_timer(bot_id)
        self._woken.add(bot_id)
        if bot_id not in self._tasks:
            self._tasks[bot_id] = asyncio.create_task(self._run(bot_id), name=f"lane {bot_id}")

    def wake_in(self, bot_id: str, seconds: float) -> None:
        """Wake the lane later; an earlier timer of this bot is replaced."""
        self._cancel_timer(bot_id)
        if not self._closed:
            loop = asyncio.get_running_loop()
            self._timers[bot_id] = loop.call_later(max(0.0, seconds), self.wake, bot_id)

    @property
    def busy(self) -> Collection[str]:
        """Bots whose lane works at the moment."""
        return self._tasks.keys()

    async def idle(self) -> None:
        """Wait until no lane works; each one's work is bounded by itself."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def close(self, timeout_sec: float) -> None:
        """Take no more; let what is being done end within `timeout_sec`, then give it up."""
        self._closed = True
        self._woken.clear()
        for bot_id in list(self._timers):
            self._cancel_timer(bot_id)
        tasks = list(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=timeout_sec)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, bot_id: str) -> None:
        again: float | None = None
        try:
            while bot_id in self._woken:
                self._woken.discard(bot_id)
                again = await self._guarded(bot_id)
        finally:
            del self._tasks[bot_id]
        if again is not None:
            self.wake_in(bot_id, again)

    async def _guarded(self, bot_id: str) -> float | None:
        try:
            return await self._work(bot_id)
        except Exception:
            log.exception(
                "unexpected error in the lane of bot %r; the next pass tries again", bot_id
            )
            return None

    def _cancel_timer(self, bot_id: str) -> None:
        if timer := self._timers.pop(bot_id, None):
            timer.cancel()
