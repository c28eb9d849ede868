"""Questions to slow dependencies that many ask at once: asked once, and the answer shared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from the0.owned import OwnedWork

K = TypeVar("K")
V = TypeVar("V")

_MOST_KEPT = 1000


@dataclass(frozen=True)
class _Asked(Generic[V]):
    """A question that was asked, and the one before, whose answer may still do."""

    begun: float
    task: asyncio.Task[V]
    before: _Asked[V] | None = None

    @property
    def answered(self) -> bool:
        return self.task.done() and not self.failed

    @property
    def failed(self) -> bool:
        return self.task.done() and (self.task.cancelled() or self.task.exception() is not None)


class Shared(Generic[K, V]):
    """What `ask(key)` gives, to everybody who wants it within `seconds` of asking.

    While somebody keeps wanting it, it is asked for again half-way, so that nobody has to wait.
    An error is told to all who wait for it and then forgotten.
    """

    def __init__(self, ask: Callable[[K], Coroutine[Any, Any, V]], seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._asked: dict[K, _Asked[V]] = {}
        self._owned = OwnedWork()

    async def get(self, key: K, since: float = 0.0) -> V:
        """The answer, asked for not before `since` (of the loop's clock)."""
        now = asyncio.get_running_loop().time()
        last = self._asked.get(key)
        if last is None or last.begun < since or self._is_due(last, now):
            last = self._begin(key, now, last)
        before = last.before
        if before and not last.task.done() and before.begun >= max(since, now - self._seconds):
            return before.task.result()
        return last.task.result() if last.task.done() else await asyncio.shield(last.task)

    async def close(self) -> None:
        """Give up what is being asked."""
        self._asked.clear()
        await self._owned.close(0.0)

    def _is_due(self, last: _Asked[V], now: float) -> bool:
        return last.failed or (last.answered and last.begun < now - self._seconds / 2)

    def _begin(self, key: K, now: float, last: _Asked[V] | None) -> _Asked[V]:
        if len(self._asked) >= _MOST_KEPT:
            self._asked = {k: v for k, v in self._asked.items() if not self._is_due(v, now)}
        before = replace(last, before=None) if last and last.answered else None
        task = self._owned.begin(self._ask(key), "a question shared by many")
        begun = _Asked(now, task, before)
        self._asked[key] = begun
        return begun
