"""Keeps a bot's query process running beside it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from the0.agent import landlock
from the0.agent.backoff import Backoff
from the0.agent.output import Output
from the0.agent.processes import Command, Process, spawn
from the0.agent.reactor import Reactor
from the0.agent.status import Condition

_HEALTHY_SEC = 60.0
_FAILURES = 3


class QueryServer:
    """Starts the query process again whenever it ends; after a few times in a row the condition
    `QueryFailed` says so, until one has run for a minute."""

    def __init__(
        self,
        command: Command,
        reactor: Reactor,
        output: Output,
        report: Callable[[Condition], object],
    ) -> None:
        self._command = command
        self._reactor = reactor
        self._output = output
        self._report = report
        self._pauses = Backoff(1.0, 60.0)
        self._process: Process | None = None
        self._begun = 0.0
        self._stopped = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it, unless it was stopped meanwhile."""
        if self._stopped:
            return
        try:
            self._process = spawn(self._command)
        except OSError as error:
            self._failed(f"the query process could not be started: {error.strerror}")
            return
        self._begun = time.monotonic()
        self._output.capture(self._reactor, self._process.stdout, "stdout")
        self._output.capture(self._reactor, self._process.stderr, "stderr")
        self._reactor.later(_HEALTHY_SEC, self._check_health)

    def stop(self) -> None:
        """Start it no more; whoever calls this ends it."""
        self._stopped = True

    def ended(self, code: int) -> None:
        """The process was reaped with this exit code (negative: a signal)."""
        assert self._process
        problem = self._process.problem
        # A child of it would keep the port, and with it every later one from starting.
        self._process.signal_group(signal.SIGKILL)
        self._process = None
        if time.monotonic() - self._begun > _HEALTHY_SEC:
            self._pauses.reset()
        self._failed(problem or f"the query process ended with {code}")

    def _failed(self, message: str) -> None:
        pause = self._pauses.pause()
        self._reactor.later(pause, self.start)
        if self._pauses.attempts == _FAILURES:
            text = f"{message}, {_FAILURES} times in a row; it is started again"
            self._report(Condition("QueryFailed", True, "KeepsEnding", text))

    def _check_health(self) -> None:
        if self._process and time.monotonic() - self._begun >= _HEALTHY_SEC:
            self._pauses.reset()
            self._report(Condition("QueryFailed", False))


def landlock_condition() -> Condition:
    """Whether a query process can write to the bot's state, as far as the kernel goes."""
    abi = landlock.version()
    if abi == 0:
        return Condition(
            "QueryStateWritable",
            True,
            "NoLandlock",
            "queries can write to the bot's state: the host's kernel has no Landlock",
        )
    if abi < landlock.FULL_VERSION:
        return Condition(
            "QueryStateWritable",
            True,
            "OldLandlock",
            "queries can truncate files of the bot's state (and change nothing else in it): "
            "the host's kernel is older than 6.2",
        )
    return Condition("QueryStateWritable", False)
