"""How soon a bot's log may be stored again. Pure: the time is given, in seconds."""

from __future__ import annotations

BYTES_PER_SEC = 50 * 1024


class Pace:
    """Remembers what each bot's last put has cost: every put is paid for at 50 KiB a second before
    the next one, and not sooner than `interval_sec` after it."""

    def __init__(self, interval_sec: float = 0.0) -> None:
        self._interval_sec = interval_sec
        self._last: dict[str, tuple[float, int]] = {}

    def stored(self, bot_id: str, size: int, now: float) -> None:
        """`size` bytes were sent."""
        self._last[bot_id] = (now, size)

    def due(self, bot_id: str, asked: float) -> float:
        """When to store what was asked for at `asked`."""
        # One that was not stored lately waits for the interval from its first line on.
        at, size = self._last.get(bot_id, (asked, 0))
        return max(asked, at + self._pause(size))

    def forget(self, now: float) -> None:
        """Drop what holds nothing back any more."""
        self._last = {
            bot_id: (at, size)
            for bot_id, (at, size) in self._last.items()
            if at + self._pause(size) > now
        }

    def _pause(self, size: int) -> float:
        return max(self._interval_sec, size / BYTES_PER_SEC)
