"""Questions to slow dependencies that many ask at once: asked once, and the answer shared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from the0.owned import OwnedWork

K = TypeVar("K")
V = TypeVar("V")

_MOST_KEPT = 1000


@dataclass(frozen=True)
class _Asked(Generic[V]):
    begun: float
    task: asyncio.Task[V]

    @property
    def failed(self) -> bool:
        return self.task.done() and (self.task.cancelled() or self.task.exception() is not None)


class Shared(Generic[K, V]):
    """What `ask(key)` gives, to everybody who wants it within `seconds` of asking. An error is
    told to all who wait for it and then forgotten."""

    def __init__(self, ask: Callable[[K], Coroutine[Any, Any, V]], seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._known: dict[K, _Asked[V]] = {}
        self._owned = OwnedWork()

    async def get(self, key: K, since: float = 0.0) -> V:
        """The answer, asked for not before `since` (of the loop's clock)."""
        now = asyncio.get_running_loop().time()
        known = self._known.get(key)
        if known is None or known.failed or known.begun < since or self._is_old(known, now):
            known = self._begin(key, now)
        return await asyncio.shield(known.task)

    async def close(self) -> None:
        """Give up what is being asked."""
        self._known.clear()
        await self._owned.close(0.0)

    def _begin(self, key: K, now: float) -> _Asked[V]:
        if len(self._known) >= _MOST_KEPT:
            self._known = {k: v for k, v in self._known.items() if not self._is_old(v, now)}
        begun = _Asked(now, self._owned.begin(self._ask(key), f"asking for {type(key).__name__}"))
        self._known[key] = begun
        return begun

    def _is_old(self, known: _Asked[V], now: float) -> bool:
        return known.task.done() and known.begun < now - self._seconds
