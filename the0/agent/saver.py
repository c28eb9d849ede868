"""When state is saved: on a change, not too often, and once an interval whatever a scan sees."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from the0.agent import workers
from the0.agent.backoff import Backoff
from the0.agent.job import Job
from the0.agent.prepare import cleared, condition
from the0.agent.reactor import Reactor
from the0.agent.workers import Message, Send, Worker

_COST_SHARE = 10
"""Saving takes at most one part in this many of a core's time. Waiting for a store that hangs costs
nothing, and must not put off the next attempt."""

_CALM_SEC = 60.0


class Saver:
    """Starts the forks that save state, one at a time, and reports what became of them."""

    def __init__(self, job: Job, send: Send, reactor: Reactor) -> None:
        self._job = job
        self._send = send
        self._reactor = reactor
        self._worker: Worker | None = None
        self._outcome: Message = {}
        self._pauses = Backoff(most=_CALM_SEC)
        self._saved_signature: int | None = None
        self._saving_signature: int | None = None
        self._next_on_change = 0.0
        self._next_anyway = 0.0

    def look(self, signature: int) -> None:
        """Take note of what a scan saw; saves where it is time to."""
        now = time.monotonic()
        if self._worker or not self._job.launch.writes_state:
            return
        changed = signature != self._saved_signature
        if now >= (self._next_on_change if changed else self._next_anyway):
            self._saving_signature = signature
            self._start()

    def ended(self, pid: int, status: int) -> None:
        """A fork ended with the wait status `status`."""
        if self._worker is None or pid != self._worker.pid:
            return
        if os.WIFSTOPPED(status):
            # Only the bot can have done that; frozen, it would never end.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            return
        self._read()
        self._reactor.forget(self._worker.fd)
        self._worker = None
        self._settle(self._outcome)

    def _start(self) -> None:
        self._outcome = {}
        try:
            self._worker = workers.start(self._work)
        except OSError as error:
            # The bot has used up the container's processes or memory.
            message = f"state not saved yet: {error.strerror}"
            self._settle({"saved": False, "reason": "NoProcess", "message": message})
            return
        self._reactor.watch(self._worker.fd, self._read)

    def _work(self, send: Send) -> int:
        from the0.agent import saving  # noqa: PLC0415 - large, and only needed in this fork

        outcome = saving.save(self._job)
        send({**outcome._asdict(), "cpu_sec": time.process_time()})
        return 0

    def _read(self) -> None:
        if self._worker is None:
            return
        messages = self._worker.messages()
        if messages is None:
            self._reactor.forget(self._worker.fd)
        elif messages:
            self._outcome = messages[-1]

    def _settle(self, outcome: Message) -> None:
        now = time.monotonic()
        cost = outcome.get("cpu_sec", 0.0) * _COST_SHARE
        sync = self._job.launch.sync
        if outcome.get("saved"):
            self._saved_signature = self._saving_signature
            self._pauses.reset()
            self._send(cleared("StateNotSaved"))
            self._next_on_change = now + max(sync.min_interval_sec, cost)
            self._next_anyway = now + max(sync.interval_sec, cost)
            return
        if outcome:
            subject = outcome.get("subject", "")
            self._send(condition("StateNotSaved", outcome["reason"], outcome["message"], subject))
        self._saved_signature = None
        self._next_on_change = now + max(self._pauses.pause(), cost)
