"""Who is asked when many ask at once: bounds for each bot and for all, with a queue."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from the0.errors import TooManyRequests

RETRY_AFTER_SEC = 1.0


@dataclass(frozen=True)
class TurnLimits:
    """How many may be at it, and how many may wait for that: in all, and for one bot."""

    at_once: int
    at_once_per_bot: int
    waiting: int
    waiting_per_bot: int


class Turns:
    """Gives turns in the order of asking; who waits for a busy bot holds up nobody else.

    While somebody waits there is no room for him: every end of a turn lets in whom it can.
    """

    def __init__(self, limits: TurnLimits) -> None:
        self._limits = limits
        self._running: Counter[str] = Counter()
        self._total = 0
        self._waiting: deque[tuple[str, asyncio.Future[None]]] = deque()

    @property
    def running(self) -> int:
        return self._total

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @asynccontextmanager
    async def turn(self, bot_id: str) -> AsyncIterator[None]:
        """Wait for a turn and have it. Raises TooManyRequests when too many wait already."""
        await self._enter(bot_id)
        try:
            yield
        finally:
            self._leave(bot_id)

    async def _enter(self, bot_id: str) -> None:
        if self._has_room(bot_id):
            self._let_in(bot_id)
            return
        self._check_queue(bot_id)
        mine = (bot_id, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        try:
            await mine[1]
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
            else:
                # The turn came in the very moment in which nobody wanted it any more.
                self._leave(bot_id)
            raise

    def _check_queue(self, bot_id: str) -> None:
        if len(self._waiting) >= self._limits.waiting:
            raise TooManyRequests("Too many queries wait already; ask again.", RETRY_AFTER_SEC)
        of_this_bot = sum(1 for waiting, _ in self._waiting if waiting == bot_id)
        if of_this_bot >= self._limits.waiting_per_bot:
            raise TooManyRequests(
                "Too many queries to this bot wait already; ask again.", RETRY_AFTER_SEC
            )

    def _has_room(self, bot_id: str) -> bool:
        limits = self._limits
        return self._total < limits.at_once and self._running[bot_id] < limits.at_once_per_bot

    def _let_in(self, bot_id: str) -> None:
        self._total += 1
        self._running[bot_id] += 1

    def _leave(self, bot_id: str) -> None:
        self._total -= 1
        self._running[bot_id] -= 1
        if not self._running[bot_id]:
            del self._running[bot_id]
        while (found := self._next()) is not None:
            self._waiting.remove(found)
            self._let_in(found[0])
            found[1].set_result(None)

    def _next(self) -> tuple[str, asyncio.Future[None]] | None:
        if self._total >= self._limits.at_once:
            return None
        return next((one for one in self._waiting if self._can_go(*one)), None)

    def _can_go(self, bot_id: str, turn: asyncio.Future[None]) -> bool:
        return not turn.done() and self._has_room(bot_id)
