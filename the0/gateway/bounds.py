"""What one launch may ask for at a time and a second, so that it harms no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from the0.errors import TooManyRequests


class InFlight:
    """Counts requests under way by launch."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count: Counter[str] = Counter()

    @contextmanager
    def enter(self, launch: str) -> Iterator[None]:
        """Raises TooManyRequests for one more than allowed."""
        if self._count[launch] >= self._limit:
            raise TooManyRequests(f"{self._limit} requests of this launch are under way already")
        self._count[launch] += 1
        try:
            yield
        finally:
            self._count[launch] -= 1
            if not self._count[launch]:
                del self._count[launch]


class RateLimit:
    """Bytes a second by bot, with a burst. Who is in debt waits; the size of a request need not
    be known before it is taken, so a debt of one request can arise."""

    def __init__(self, bytes_per_sec: float, burst_bytes: float) -> None:
        self._rate = bytes_per_sec
        self._burst = burst_bytes
        self._credit: dict[str, tuple[float, float]] = {}

    def check(self, bot_id: str, now: float) -> None:
        """Raises TooManyRequests with the time until the debt is paid. `now` in seconds."""
        credit = self._credit_at(bot_id, now)
        if credit < 0:
            raise TooManyRequests(
                f"more than {self._rate / 1024:g} KiB of logs a second (setting logs.rate_kb)",
                retry_after=-credit / self._rate,
            )

    def charge(self, bot_id: str, size: int, now: float) -> None:
        self._credit[bot_id] = (self._credit_at(bot_id, now) - size, now)
        self._forget(now)

    def _credit_at(self, bot_id: str, now: float) -> float:
        credit, at = self._credit.get(bot_id, (self._burst, now))
        return min(self._burst, credit + (now - at) * self._rate)

    def _forget(self, now: float) -> None:
        if len(self._credit) > 10_000:
            full = [one for one in self._credit if self._credit_at(one, now) >= self._burst]
            for bot_id in full:
                del self._credit[bot_id]
