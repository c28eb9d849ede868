"""Growing pauses between attempts."""

from __future__ import annotations

import os


class Backoff:
    """Pauses in seconds: `first`, doubling up to `most`, each shortened by up to a quarter at
    random so that many containers do not ask at the same moment."""

    def __init__(self, first: float = 1.0, most: float = 30.0) -> None:
        self._first = first
        self._most = most
        self.attempts = 0

    def pause(self) -> float:
        """The next pause."""
        plain = min(self._most, self._first * 2.0 ** min(self.attempts, 32))
        self.attempts += 1
        return plain * (1 - os.urandom(1)[0] / 1024)

    def reset(self) -> None:
        """Begin again with the first pause."""
        self.attempts = 0
