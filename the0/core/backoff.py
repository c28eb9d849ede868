"""How long a bot waits before its next attempt."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from the0.settings import RunnerSettings


@dataclass(frozen=True)
class Backoff:
    """Delays in seconds: `initial` after the first crash, doubled each time up to `longest`;
    `healthy_after` is the running time that makes a bot's past crashes count no more."""

    initial: float
    longest: float
    healthy_after: float

    @classmethod
    def of(cls, settings: RunnerSettings) -> Backoff:
        return cls(
            initial=settings.backoff_initial_sec,
            longest=max(settings.backoff_initial_sec, settings.backoff_max_sec),
            healthy_after=settings.healthy_after_sec,
        )

    def delay(self, bot_id: str, crashes: int) -> float:
        """The wait after crash number `crashes` (from 1); the same for the same arguments.

        Up to a fifth shorter than the plain exponential, so that bots that died together do not
        all come back in the same instant.
        """
        return self._plain(crashes) * (1 - 0.2 * fraction(f"{bot_id}\0{crashes}"))

    def exhausted(self, crashes: int) -> bool:
        """Whether the delay has grown as long as it gets: the bot is shown as `failed`."""
        return crashes > 1 and self._plain(crashes) >= self.longest

    def crashes_after(self, crashes: int, ran_sec: float) -> int:
        """The count after one more exit, of a bot that ran for `ran_sec`."""
        return 1 if ran_sec >= self.healthy_after else crashes + 1

    def _plain(self, crashes: int) -> float:
        doublings = min(max(crashes, 1) - 1, 64)
        return min(self.initial * 2.0**doublings, self.longest)


def fraction(text: str) -> float:
    """A number in [0, 1) that looks random and is the same for the same text."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4]) / 2**32
