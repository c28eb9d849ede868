"""Keeps one sync process running, whatever the bot does to it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from the0.agent import sync
from the0.agent.backoff import Backoff
from the0.agent.job import Job
from the0.agent.reactor import Reactor
from the0.agent.workers import Message, Worker

_SILENT_SEC = 60.0
_HEALTHY_SEC = 60.0


class SyncKeeper:
    """Starts sync again when it ends, is frozen or falls silent. `on_message` gets what it sends,
    `on_start` is called after each start."""

    def __init__(
        self,
        reactor: Reactor,
        on_message: Callable[[Message], object],
        on_start: Callable[[], object],
    ) -> None:
        self._reactor = reactor
        self._on_message = on_message
        self._on_start = on_start
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._worker: Worker | None = None
        self._outbox = -1
        self._pauses = Backoff(0.1, 5.0)
        self._heard = 0.0
        self._begun = 0.0
        self._job: Job | None = None

    @property
    def pid(self) -> int | None:
        return self._worker.pid if self._worker else None

    def start(self, job: Job) -> None:
        """Start sync, and keep it running from now on."""
        self._job = job
        self._start()

    def stop(self) -> None:
        """Keep it running no longer; whoever calls this ends it."""
        self._job = None
        self.ended()

    def wake(self) -> None:
        """Tell sync that the log has grown."""
        with suppress(BlockingIOError):
            os.eventfd_write(self._wake, 1)

    def tell(self, message: Message) -> None:
        """Send sync a message, which it gets again after a restart only if `on_start` sends it."""
        if self._worker and not sync.tell(self._outbox, message):
            self.kill()

    def kill(self) -> None:
        """End sync; the next one starts once it is reaped."""
        if self._worker:
            with suppress(ProcessLookupError):
                os.kill(self._worker.pid, signal.SIGKILL)

    def tick(self) -> None:
        """To be called now and then: ends a sync that is silent."""
        if self._worker and time.monotonic() - self._heard > _SILENT_SEC:
            self.kill()

    def ended(self) -> None:
        """Sync was reaped."""
        if self._worker is None:
            return
        self._reactor.forget(self._worker.fd)
        os.close(self._outbox)
        self._worker = None
        if time.monotonic() - self._begun > _HEALTHY_SEC:
            self._pauses.reset()
        self._reactor.later(self._pauses.pause(), self._start)

    def _start(self) -> None:
        if self._job is None or self._worker:
            return
        try:
            worker, self._outbox = sync.start(self._job, self._wake)
        except OSError:
            # The bot has used up the container's processes or memory.
            self._reactor.later(self._pauses.pause(), self._start)
            return
        self._worker = worker
        self._heard = self._begun = time.monotonic()
        self._reactor.watch(worker.fd, self._hear)
        self._on_start()

    def _hear(self) -> None:
        assert self._worker
        self._heard = time.monotonic()
        messages = self._worker.messages()
        if messages is None:
            # It closed its end, which only its death does; it is reaped in a moment.
            self.kill()
            self.ended()
            return
        for message in messages:
            self._on_message(message)
