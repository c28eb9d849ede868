"""Storing a snapshot of a bot's state: one at a time, and only over the one that it follows."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import IO, BinaryIO, Literal, cast

from the0.errors import Conflict, Unavailable
from the0.gateway.errors import Superseded
from the0.launches import Launch, LaunchStore
from the0.pool import BlockingPool
from the0.storage.state import StateStore, StoredState

log = logging.getLogger("the0.gateway.state")

_DOUBT_SEC = 600.0
_SETTLE_SEC = 1.0
_VERIFY_TRIES = 3


@dataclass(frozen=True)
class Snapshot:
    """A checked snapshot on this host's disk, and the stored generation that it follows."""

    body: IO[bytes]
    state: StoredState
    base: str


def decide(
    stored: StoredState | None, base: str, snapshot: StoredState
) -> Literal["store", "kept", "conflict"]:
    """Whether a snapshot may replace what is stored, is stored already, or neither.

    Where certainly nothing is stored there is nothing to lose, whatever the agent remembers. What
    the same launch stored is always an ancestor, also when the answer to that put got lost.
    """
    if stored is None:
        return "store"
    if stored.generation == snapshot.generation:
        return "kept"
    ours = stored.launch != "" and stored.launch == snapshot.launch
    return "store" if ours or stored.generation == base else "conflict"


class Doubts:
    """Whose put of late may still take effect. Safe to use from several threads."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._lock = threading.Lock()

    def about(self, bot_id: str, now: float) -> bool:
        return now - self._since.get(bot_id, -math.inf) < _DOUBT_SEC

    def add(self, bot_id: str, now: float) -> None:
        with self._lock:
            self._since.pop(bot_id, None)
            self._since[bot_id] = now
            while now - self._since[oldest := next(iter(self._since))] >= _DOUBT_SEC:
                del self._since[oldest]


class StateWriter:
    """The only writer of bots' state.

    A put whose answer got lost may still take effect, later than the one after it. So a bot's
    next put waits until the thread of the one before has ended, and after a doubtful one each
    put is looked at again a moment later.
    """

    def __init__(self, store: StateStore, launches: LaunchStore, pool: BlockingPool) -> None:
        self._store = store
        self._launches = launches
        self._pool = pool
        self._busy: set[str] = set()
        self._doubts = Doubts()

    async def write(self, launch: Launch, snapshot: Snapshot, timeout_sec: float) -> None:
        """Store the snapshot, whose body is closed in the end.

        Raises Conflict when another generation is stored, Superseded, and Unavailable when it is
        not certain that it is stored.
        """
        if launch.bot_id in self._busy:
            snapshot.body.close()
            raise Unavailable("the snapshot before this one is still being stored")
        self._busy.add(launch.bot_id)
        try:
            future = self._pool.submit(self._write, launch, snapshot)
        except Unavailable:
            self._ended(launch.bot_id, snapshot)
            raise
        future.add_done_callback(self._ending(launch.bot_id, snapshot))
        await self._pool.wait(future, timeout_sec)

    def _ending(self, bot_id: str, snapshot: Snapshot) -> Callable[[Future[None]], None]:
        return lambda _: self._ended(bot_id, snapshot)

    def _ended(self, bot_id: str, snapshot: Snapshot) -> None:
        snapshot.body.close()
        self._busy.discard(bot_id)

    def _write(self, launch: Launch, snapshot: Snapshot) -> None:
        check_may_write(self._launches.read(launch.launch))
        outcome = decide(self._store.head(launch.bot_id), snapshot.base, snapshot.state)
        if outcome == "conflict":
            raise Conflict("another generation of this bot's state is stored than the one expected")
        if outcome == "store":
            self._put(launch.bot_id, snapshot)

    def _put(self, bot_id: str, snapshot: Snapshot) -> None:
        doubtful = self._doubts.about(bot_id, time.monotonic())
        for _ in range(_VERIFY_TRIES):
            snapshot.body.seek(0)
            try:
                self._store.put(bot_id, cast(BinaryIO, snapshot.body), snapshot.state)
            except Unavailable:
                self._doubts.add(bot_id, time.monotonic())
                raise
            if not doubtful or self._settled(bot_id, snapshot.state):
                return
            log.warning("an earlier put of the state of %s came late; storing again", bot_id)
        raise Unavailable("the store keeps changing the state behind our back")

    def _settled(self, bot_id: str, state: StoredState) -> bool:
        time.sleep(_SETTLE_SEC)
        stored = self._store.head(bot_id)
        return stored is not None and stored.generation == state.generation


def check_may_write(launch: Launch | None) -> None:
    """Raises Superseded for a launch that was removed, or whose place another one took."""
    if launch is None or launch.superseded_by is not None:
        raise Superseded("a newer launch of this bot stores its state now")
