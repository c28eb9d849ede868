"""How soon a bot's log may be stored again. Pure: the time is given, in seconds."""

from __future__ import annotations

BYTES_PER_SEC = 50 * 1024


class Pace:
    """Remembers what each bot's last put has cost.

    Every put is paid for at 50 KiB a second before the next one. That alone holds back the end of
    a run: what is small (50 KiB is paid for in a second, and bots are not started more often) is
    stored at each end, what is large when it is paid for. Otherwise an interval has to pass too.
    """

    def __init__(self, interval_sec: float) -> None:
        self._interval_sec = interval_sec
        self._last: dict[str, tuple[float, int]] = {}

    def stored(self, bot_id: str, size: int, now: float) -> None:
        """`size` bytes were sent."""
        self._last[bot_id] = (now, size)

    def due(self, bot_id: str, asked: float, *, gathers: bool) -> float:
        """When to store what was asked for at `asked`, if it `gathers` lines for an interval."""
        # One that was not stored lately gathers from its first line on.
        at, size = self._last.get(bot_id, (asked, 0))
        return max(asked, at + max(self._interval_sec if gathers else 0.0, size / BYTES_PER_SEC))

    def forget(self, now: float) -> None:
        """Drop what holds nothing back any more."""
        self._last = {
            bot_id: (at, size)
            for bot_id, (at, size) in self._last.items()
            if at + max(self._interval_sec, size / BYTES_PER_SEC) > now
        }
