"""The fork that lives as long as the bot: ships its log, reports its status, watches its state and
disk use. The bot may kill or freeze it at any time; the supervisor then starts another."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from typing import Any, NamedTuple

from the0.agent import files, workers
from the0.agent.backoff import Backoff
from the0.agent.client import Refused, Unavailable
from the0.agent.job import Job
from the0.agent.reactor import Reactor, Signals, Timer
from the0.agent.saver import Saver
from the0.agent.scan import scan
from the0.agent.shipping import Shipper
from the0.agent.workers import Message, Send

BEAT_SEC = 5.0
_POST_SEC = 3.0
_SHIP_SEC = 5.0
_GATHER_SEC = 0.01
"""So long a first line waits for those that are written together with it."""
_SCAN_SEC = 1.0
_SCAN_SHARE = 25
"""Scanning takes at most one part in this many of a processor."""


class Lines(NamedTuple):
    """How the supervisor speaks to sync: `wake` counts that lines were written, `inbox` brings
    messages, `send` takes those for the supervisor."""

    wake: int
    inbox: int
    send: Send


class Sync:
    """Runs until its inbox ends or it is killed."""

    def __init__(self, job: Job, lines: Lines) -> None:
        self._job = job
        self._lines = lines
        self._reactor = Reactor()
        self._signals = Signals((signal.SIGCHLD,))
        var = files.open_folder(job.paths.var)
        self._shipper = Shipper(job.paths.logs, var, job.launch.logs)
        self._saver = Saver(job, lines.send, self._reactor)
        self._status: Message | None = None
        self._status_pauses, self._log_pauses = Backoff(), Backoff()
        self._flush: Timer | None = None
        self._shipped = 0.0
        self._rest = b""
        self._watching = False
        self._ended = False

    def run(self) -> int:
        """The loop; 0 when the supervisor is gone."""
        self._reactor.watch(self._lines.wake, self._woken)
        self._reactor.watch(self._lines.inbox, self._told)
        self._reactor.watch(self._signals.fd, self._reap)
        self._beat()
        self._schedule_shipping(0.0)
        while not self._ended:
            self._reactor.turn()
        return 0

    def _beat(self) -> None:
        self._lines.send({"beat": True})
        self._reactor.later(BEAT_SEC, self._beat)

    def _told(self) -> None:
        data = os.read(self._lines.inbox, 1 << 16)
        self._ended = not data
        *messages, self._rest = (self._rest + data).split(b"\n")
        for message in messages:
            self._take(json.loads(message))

    def _take(self, message: Message) -> None:
        if "status" in message:
            idle = self._status is None
            self._status = message["status"]
            if idle:
                self._post_status()
        if message.get("watch") and not self._watching:
            self._watching = True
            self._scan()

    def _post_status(self) -> None:
        try:
            self._job.gateway.until(time.monotonic() + _POST_SEC).post("/v1/status", self._status)
        except (Unavailable, Refused) as error:
            self._reactor.later(_wait(self._status_pauses, error), self._post_status)
            return
        self._status_pauses.reset()
        self._status = None

    def _woken(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._lines.wake)
        if self._flush is None:
            # At once after a silence; only a bot that goes on writing has its lines batched.
            due = self._shipped + self._job.launch.logs.flush_sec - time.monotonic()
            self._schedule_shipping(max(due, _GATHER_SEC))

    def _schedule_shipping(self, seconds: float) -> None:
        self._flush = self._reactor.later(seconds, self._ship)

    def _ship(self) -> None:
        self._flush = None
        try:
            more = self._shipper.ship(self._job.gateway.until(time.monotonic() + _SHIP_SEC))
        except (Unavailable, Refused, OSError) as error:
            self._schedule_shipping(_wait(self._log_pauses, error))
            return
        self._log_pauses.reset()
        self._shipped = time.monotonic()
        if more:
            self._schedule_shipping(self._job.launch.logs.flush_sec / 4)

    def _scan(self) -> None:
        began = time.monotonic()
        try:
            seen = scan(self._job.paths, os.getppid())
        except files.TooDeep as error:
            self._lines.send({"disk": None, "why": str(error)})
        else:
            if seen.disk_bytes > self._job.launch.disk_bytes:
                self._lines.send({"disk": seen.disk_bytes})
            self._saver.look(seen.signature)
        cost = time.monotonic() - began
        self._reactor.later(max(_SCAN_SEC, cost * _SCAN_SHARE), self._scan)

    def _reap(self) -> None:
        self._signals.received()
        for pid, status in workers.reap():
            self._saver.ended(pid, status)


def _wait(pauses: Backoff, error: Exception) -> float:
    return max(pauses.pause(), getattr(error, "retry_after", None) or 0.0)


def start(job: Job, wake: int) -> tuple[workers.Worker, int]:
    """Fork the sync process; the worker, and the descriptor to send it messages."""
    inbox, outbox = os.pipe()

    def work(send: Send) -> int:
        os.close(outbox)
        return Sync(job, Lines(wake, inbox, send)).run()

    try:
        worker = workers.start(work)
    except OSError:
        os.close(outbox)
        raise
    finally:
        os.close(inbox)
    os.set_blocking(outbox, False)
    return worker, outbox


def tell(outbox: int, message: dict[str, Any]) -> bool:
    """Send `message` to sync without waiting; False where it does not listen."""
    data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
    try:
        return os.write(outbox, data) == len(data)
    except OSError:
        return False
