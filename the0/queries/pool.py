"""Containers that wait for a query: which of them to take, and how many there should be. Pure.

Times are readings of one monotonic clock, in seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from the0.settings import QueryPoolSettings

MEMBER_SEC = 1800.0
"""A container that waited so long is replaced; its agent would give up after an hour."""

REPLACED_SEC = 2.0
"""About the time in which a container that was taken is replaced on a busy machine."""

_MOST_RECENT = 1024


@dataclass(frozen=True)
class Member:
    """A started container that has not had a job: its launch, the executor's `ref`, the engine's
    id of the image it was made of, and since when it is there."""

    launch: str
    ref: str
    image: str
    born: float


class Demand:
    """How many containers should wait: as many as were taken, at the busiest moment of the last
    `idle_sec`, within the time that replacing one takes."""

    def __init__(self, idle_sec: float) -> None:
        self._idle_sec = idle_sec
        self._recent: deque[float] = deque(maxlen=_MOST_RECENT)
        # Peaks that may still be the highest one when those before them are too old.
        self._peaks: deque[tuple[float, int]] = deque()

    def note(self, now: float) -> None:
        """One was asked for."""
        self._recent.append(now)
        while self._recent[0] < now - REPLACED_SEC:
            self._recent.popleft()
        count = len(self._recent)
        while self._peaks and self._peaks[-1][1] <= count:
            self._peaks.pop()
        self._peaks.append((now, count))

    def wanted(self, now: float) -> int:
        while self._peaks and self._peaks[0][0] < now - self._idle_sec:
            self._peaks.popleft()
        return self._peaks[0][1] if self._peaks else 0


class Pool:
    """The waiting containers of one kind. Each leaves once: for its one job, or to be removed.

    `coming` counts those that are being made.
    """

    def __init__(self, settings: QueryPoolSettings) -> None:
        self._settings = settings
        self._demand = Demand(settings.idle_sec)
        self._waiting: deque[Member] = deque()
        self.coming = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, member: Member) -> None:
        """One more waits."""
        self._waiting.append(member)

    def take(self, image: str, now: float) -> Member | None:
        """The one of this image that has waited longest, for one job; None when there is none."""
        self._demand.note(now)
        found = next((one for one in self._waiting if one.image == image), None)
        if found:
            self._waiting.remove(found)
        return found

    def surplus(self, image: str, now: float) -> Sequence[Member]:
        """Those that wait in vain leave: of another image, too old, or more than are wanted."""
        oldest = now - MEMBER_SEC
        good = [one for one in self._waiting if one.image == image and one.born >= oldest]
        staying = good[: self._wanted(now)]
        return self._leave([one for one in self._waiting if one not in staying])

    def lacking(self, now: float) -> int:
        """How many more should be made."""
        return max(0, self._wanted(now) - len(self._waiting) - self.coming)

    def lose(self, launches: set[str]) -> Sequence[Member]:
        """Those of these launches leave: their containers have ended."""
        return self._leave([one for one in self._waiting if one.launch in launches])

    def _leave(self, leaving: Sequence[Member]) -> Sequence[Member]:
        for one in leaving:
            self._waiting.remove(one)
        return leaving

    def _wanted(self, now: float) -> int:
        bounds = self._settings
        return min(bounds.max_waiting, max(bounds.min_waiting, self._demand.wanted(now)))
