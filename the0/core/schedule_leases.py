"""Who looks after which run: leases renewed, lapsed ones noticed.

A lease has lapsed when nothing about it changed for its whole length by our own monotonic clock,
while MongoDB answered: what the wall clocks of others say does not matter.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import datetime

from the0.models import Run

_Lease = tuple[str, datetime | None]


class LeaseWatch:
    """Remembers since when each lease of others stands as it does."""

    def __init__(self, owner: str, lease_sec: float) -> None:
        self._owner = owner
        self._lease_sec = lease_sec
        self._since: dict[str, tuple[_Lease, float]] = {}

    def lapsed(self, runs: Iterable[Run], now: float | None = None) -> Sequence[Run]:
        """Those of the active `runs` that may be taken over; `now` of :func:`time.monotonic`."""
        now = time.monotonic() if now is None else now
        others = [run for run in runs if run.owner != self._owner]
        seen = {run.id: (run.owner, run.lease_until) for run in others}
        before = self._since
        self._since = {
            run_id: before[run_id]
            if run_id in before and before[run_id][0] == lease
            else (lease, now)
            for run_id, lease in seen.items()
        }
        return [run for run in others if self._has_lapsed(run, now)]

    def blink(self) -> None:
        """MongoDB gave no answer: what was seen before says nothing about who is alive."""
        self._since.clear()

    def _has_lapsed(self, run: Run, now: float) -> bool:
        return not run.owner or now - self._since[run.id][1] >= self._lease_sec
