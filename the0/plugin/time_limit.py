"""A bound on how long a plugin's code may take while it is loaded."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_AGAIN_SEC = 1.0


class TookTooLong(BaseException):
    """Raised in the middle of the code that took too long. No :class:`Exception`, so that code
    which forgives every error does not forgive this one."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it took longer than {seconds:g} s")


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TookTooLong in the block once it took `seconds`, whether it sleeps, waits or counts.

    Made of the process's alarm, so it works in the main thread, where plugins are loaded; in
    another one there is no limit. An alarm that was set before goes on afterwards.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_: int, __: FrameType | None) -> NoReturn:
        raise TookTooLong(seconds)

    began = time.monotonic()
    handler = signal.signal(signal.SIGALRM, ring)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_SEC)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:
            due = max(left - (time.monotonic() - began), 0.001)
            signal.setitimer(signal.ITIMER_REAL, due, interval)
