"""Process 1's wait for a job, which costs no process and never blocks it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from the0.agent.backoff import Backoff
from the0.agent.client import Gateway, Unavailable
from the0.agent.reactor import Reactor

LONGEST_SEC = 3600.0
"""The host replaces containers that wait for half of this; one that it forgot ends by itself."""

_ASK_SEC = 1.0
_NOT_YET = b"HTTP/1.1 204"


class JobWait:
    """Asks the gateway again and again whether this launch has its job. `on_news` is called for
    whatever else it says, `on_end` when it was asked for too long."""

    def __init__(
        self,
        reactor: Reactor,
        gateway: Gateway,
        on_news: Callable[[], object],
        on_end: Callable[[], object],
    ) -> None:
        self._reactor = reactor
        self._gateway = gateway
        self._on_news = on_news
        self._on_end = on_end
        self._pauses = Backoff(0.1, 2.0)
        self._until = time.monotonic() + LONGEST_SEC

    def start(self) -> None:
        """Begin to wait. What forks will need for the job is imported now, while nobody waits."""
        from the0.agent import bundle, restore, unpacking  # noqa: F401, PLC0415

        self._ask()

    def _ask(self) -> None:
        if time.monotonic() > self._until:
            self._on_end()
            return
        try:
            soon = self._gateway.until(time.monotonic() + _ASK_SEC)
            fd = soon.begin("/v1/launch?wait=1")
        except Unavailable:
            self._reactor.later(self._pauses.pause(), self._ask)
            return
        self._reactor.watch(fd, lambda: self._answered(fd))

    def _answered(self, fd: int) -> None:
        try:
            head = os.read(fd, len(_NOT_YET))
        except OSError:
            head = b""
        self._reactor.forget(fd)
        if not head:
            # The gateway went away; another one takes over.
            self._reactor.later(self._pauses.pause(), self._ask)
            return
        self._pauses.reset()
        if head == _NOT_YET:
            self._ask()
        else:
            self._on_news()
