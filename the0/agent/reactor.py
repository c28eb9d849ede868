"""One thread that waits for many things: pipes, moments, signals."""

from __future__ import annotations

import heapq
import itertools
import os
import select
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

Callback = Callable[[], object]


class Timer:
    """A call in the future that can be cancelled."""

    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        self.callback = None


class Reactor:
    """Calls back when a file descriptor is readable, a moment has come or a signal was received.
    Callbacks must not block."""

    def __init__(self) -> None:
        # poll and not epoll: an epoll descriptor would be shared with forks.
        self._poll = select.poll()
        self._readers: dict[int, Callback] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()

    def watch(self, fd: int, callback: Callback) -> None:
        """Call `callback` whenever `fd` can be read or has ended."""
        self._readers[fd] = callback
        self._poll.register(fd, select.POLLIN)

    def forget(self, fd: int) -> None:
        """Stop watching `fd`, and close it."""
        if self._readers.pop(fd, None):
            self._poll.unregister(fd)
            os.close(fd)

    def later(self, seconds: float, callback: Callback) -> Timer:
        """Call `callback` once in `seconds`."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), timer))
        return timer

    def turn(self) -> None:
        """Wait for the next event and call what it is for."""
        ready = [(fd, self._readers.get(fd)) for fd, _ in self._poll.poll(self._wait_ms())]
        for fd, reader in ready:
            # An earlier callback may have closed this one, and its number may be another's now.
            if reader and self._readers.get(fd) is reader:
                reader()
        while self._timers and self._timers[0][0] <= time.monotonic():
            _, _, timer = heapq.heappop(self._timers)
            if timer.callback:
                timer.callback()

    def _wait_ms(self) -> float | None:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return None
        return max(0.0, self._timers[0][0] - time.monotonic()) * 1000 + 1


class Signals:
    """Turns signals into something that a reactor can watch: `fd` is readable when one came."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self.fd, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, _noted)

    def received(self) -> set[int]:
        """The signals that came since the last call."""
        with suppress(BlockingIOError):
            return set(os.read(self.fd, 4096))
        return set()


def _noted(*_: object) -> None:
    """The number was written to the wake-up descriptor; there is nothing more to do."""


def forget_signals() -> None:
    """In a fork: no signal is noted any more, and those that end a program end it."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
