"""Process 1 of a container: starts everything, reaps everything, stops everything.

It never waits for the gateway itself: whatever asks the gateway is a fork. It has no threads and
never runs a bot's code, and is deaf to nothing but SIGKILL from the first moment on.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from the0.agent import files, linux, prepare, workers
from the0.agent.backoff import Backoff
from the0.agent.client import Gateway
from the0.agent.console import Console
from the0.agent.environment import process_environment
from the0.agent.finish import Ending, finish
from the0.agent.job import Job
from the0.agent.keeper import SyncKeeper
from the0.agent.launch import Launch, parse
from the0.agent.output import Output
from the0.agent.paths import Paths
from the0.agent.processes import Command, Process, kill_all, spawn
from the0.agent.queryserver import QueryServer, landlock_condition
from the0.agent.reactor import Reactor, Signals
from the0.agent.status import Condition, Exit, News, Status
from the0.agent.waiting import JobWait
from the0.agent.workers import Message, Worker

PLATFORM_FAILED = 70
"""The exit code of a container whose bot never ran, for a reason of ours."""

_TICK_SEC = 1.0
_DRAIN_SEC = 1.0
_SYNC_QUERY_AFTER_SEC = 0.5
_SPARE_SHARE = 0.05
"""Of the final sync's time, kept so that the container ends before it is killed."""
_WRITABLE_FOR_QUERIES = "/dev"


class Supervisor:
    """One launch from its first to its last moment."""

    def __init__(self, paths: Paths, gateway: Gateway, signals: Signals) -> None:
        self._paths = paths
        self._gateway = gateway
        self._signals = signals
        self._reactor = Reactor()
        self._status = Status()
        self._keeper = SyncKeeper(self._reactor, self._take, self._inform)
        self._output = Output(paths, Console(1), self._keeper.wake)
        self._launch: Launch | None = None
        self._prepare: Worker | None = None
        self._prepare_pauses = Backoff()
        self._job_wait: JobWait | None = None
        self._bot: Process | None = None
        self._query: QueryServer | None = None
        self._state: bool | None = None
        self._stop_signal: int | None = None
        self._over_disk = False
        self._must_end_by = math.inf
        self._ending: Exit | None = None
        self._exit_code = 0

    def run(self) -> int:
        """The launch; the container's exit code."""
        self._reactor.watch(self._signals.fd, self._signalled)
        self._remove_done()
        self._tick()
        self._start_prepare()
        while self._ending is None:
            self._reactor.turn()
        self._drain()
        self._finish(self._ending)
        return self._exit_code

    # Preparing

    def _start_prepare(self) -> None:
        self._prepare = workers.start(
            lambda send: prepare.prepare(self._paths, self._gateway, send)
        )
        self._reactor.watch(self._prepare.fd, self._hear_prepare)

    def _hear_prepare(self) -> None:
        if self._prepare and not self._hear(self._prepare):
            self._reactor.forget(self._prepare.fd)

    def _hear(self, worker: Worker) -> bool:
        """Take what a fork sends; False when there will be no more."""
        messages = worker.messages()
        for message in messages or ():
            self._take(message)
        return messages is not None

    def _prepare_ended(self, code: int) -> None:
        assert self._prepare
        # What it wrote last may still be in the pipe.
        while self._hear(self._prepare):
            pass
        self._reactor.forget(self._prepare.fd)
        self._prepare = None
        if self._ending:
            return
        if code == prepare.READY:
            self._start_processes()
        elif code == prepare.NO_JOB:
            self._wait_for_job()
        elif code == prepare.HOPELESS:
            self._end(Exit(None, None, "platform"), PLATFORM_FAILED)
        else:
            self._output.say("preparing the launch failed inside the agent; it is tried again")
            self._reactor.later(self._prepare_pauses.pause(), self._start_prepare)

    def _start_sync(self) -> None:
        if self._launch and self._ending is None:
            self._keeper.start(Job(self._paths, self._gateway, self._launch))

    def _wait_for_job(self) -> None:
        if self._job_wait is None:
            self._job_wait = JobWait(
                self._reactor, self._gateway, self._start_prepare, self._forgotten
            )
        self._job_wait.start()

    def _forgotten(self) -> None:
        self._output.say("no job came for so long that the host must have forgotten this container")
        self._end(Exit(None, None, "platform"), PLATFORM_FAILED)

    def _take(self, message: Message) -> None:
        """A message of the prepare or sync fork."""
        if "document" in message and self._launch is None:
            self._launch = parse(message["document"])
            self._output.limit(self._launch.logs)
            if self._launch.query:
                self._reactor.later(self._launch.query.deadline_sec, self._overdue)
                # One that is answered until then needs no sync: the end brings all of it home.
                self._reactor.later(_SYNC_QUERY_AFTER_SEC, self._start_sync)
            else:
                self._start_sync()
        if "phase" in message:
            self._set_phase(message["phase"])
        if "condition" in message:
            self._report(Condition(**message["condition"]))
        if "say" in message:
            self._output.say(message["say"])
        if "state" in message:
            self._state = bool(message["state"])
        if message.get("complete") is False and self._launch and self._launch.kind == "flush":
            self._exit_code = PLATFORM_FAILED
        if "disk" in message:
            self._disk_exceeded(message["disk"], message.get("why"))

    # Running

    def _start_processes(self) -> None:
        assert self._launch
        if self._launch.kind == "flush":
            self._end(Exit(0, None, "exited"), 0)
            return
        if self._launch.kind == "query":
            self._report(landlock_condition())
        elif self._launch.kind == "realtime" and self._launch.commands.get("query"):
            self._report(landlock_condition())
            self._query = QueryServer(
                self._command("query"), self._reactor, self._output, self._report
            )
            self._query.start()
        try:
            self._bot = spawn(self._command(self._launch.main))
        except OSError as error:
            self._output.say(f"the bot's process could not be made: {error.strerror}")
            self._end(Exit(None, None, "platform"), PLATFORM_FAILED)
            return
        if self._bot.problem:
            self._output.say(self._bot.problem)
        self._output.capture(self._reactor, self._bot.stdout, "stdout")
        self._output.capture(self._reactor, self._bot.stderr, "stderr")
        self._set_phase("running")

    def _command(self, entrypoint: str) -> Command:
        assert self._launch
        writable = (self._paths.query, self._paths.tmp, _WRITABLE_FOR_QUERIES)
        return Command(
            self._launch.commands[entrypoint],
            process_environment(self._launch, entrypoint, self._paths, os.environ),
            self._paths.bot,
            writable if entrypoint == "query" else None,
        )

    def _overdue(self) -> None:
        """Nobody waits for the answer any more."""
        if self._bot:
            self._kill_bot()
        else:
            self._end(Exit(None, None, "platform"), PLATFORM_FAILED)

    def _disk_exceeded(self, used: int | None, why: str | None) -> None:
        assert self._launch
        if self._over_disk or not self._bot:
            return
        self._over_disk = True
        text = why or f"{used:,} bytes of {self._launch.disk_bytes:,} that it may have"
        self._report(
            Condition("DiskExceeded", True, "OverLimit", f"the bot used too much disk: {text}")
        )
        self._kill_bot()

    # Signals

    def _signalled(self) -> None:
        received = self._signals.received()
        for number in (signal.SIGTERM, signal.SIGINT):
            if number in received:
                self._stop(number)
        for pid, status in workers.reap():
            self._reaped(pid, status)

    def _stop(self, number: int) -> None:
        first, self._stop_signal = self._stop_signal is None, number
        if not self._bot:
            self._end(Exit(None, None, "stopped"), 128 + number)
            return
        self._bot.signal_group(number)
        if first:
            assert self._launch
            self._set_phase("stopping")
            grace_sec = self._launch.stop_grace_sec
            self._must_end_by = time.monotonic() + grace_sec + self._launch.sync.final_sec
            self._reactor.later(grace_sec, self._kill_bot)

    def _kill_bot(self) -> None:
        # Once it was reaped, its number may be another's.
        if self._bot and self._ending is None:
            self._bot.signal_group(signal.SIGKILL)

    def _reaped(self, pid: int, status: int) -> None:
        if os.WIFSTOPPED(status):
            # Somebody froze sync; a bot's own processes may be stopped as it likes.
            if pid == self._keeper.pid:
                self._keeper.kill()
            return
        code = os.waitstatus_to_exitcode(status)
        if self._prepare and pid == self._prepare.pid:
            self._prepare_ended(code)
        elif pid == self._keeper.pid:
            self._keeper.ended()
        elif self._query and pid == self._query.pid:
            self._query.ended(code)
        elif self._bot and pid == self._bot.pid:
            self._bot_ended(code)

    def _bot_ended(self, code: int) -> None:
        reason = "exited"
        if self._over_disk:
            reason = "disk"
        elif self._stop_signal is not None:
            reason = "stopped"
        exited = code if code >= 0 else None
        killed = -code if code < 0 else None
        self._end(Exit(exited, killed, reason), code if code >= 0 else 128 - code)

    # Ending

    def _end(self, ending: Exit, code: int) -> None:
        if self._ending is None:
            self._ending = ending
            self._exit_code = code

    def _drain(self) -> None:
        """Read what the bot wrote before it ended. Its children may hold the pipes open, for which
        they get a moment; then everything that still runs is killed."""
        self._set_phase("syncing")
        if self._query:
            self._query.stop()
        self._turn_while_capturing(_DRAIN_SEC)
        self._keeper.stop()
        kill_all()
        self._turn_while_capturing(_DRAIN_SEC)
        self._look_after_output()

    def _turn_while_capturing(self, seconds: float) -> None:
        over = False

        def stop() -> None:
            nonlocal over
            over = True

        timer = self._reactor.later(seconds, stop)
        while self._output.capturing and not over:
            self._reactor.turn()
        timer.cancel()

    def _finish(self, ending: Exit) -> None:
        if self._launch is None:
            return
        if self._launch.kind == "scheduled":
            self._write_done()
        job = Job(self._paths, self._gateway, self._launch)
        final_sec, now = self._launch.sync.final_sec, time.monotonic()
        spare_sec = final_sec * _SPARE_SHARE
        deadline = min(now + final_sec, self._must_end_by - spare_sec)
        ended = ending._replace(peak_memory_bytes=linux.peak_memory())
        end = Ending(ended, self._state, deadline)
        last = workers.start(partial(finish, job, self._status, end))
        workers.attend(last, self._reactor, deadline + spare_sec / 2 - now, self._take)
        kill_all()

    # Reporting

    def _set_phase(self, phase: str) -> None:
        self._status.phase = phase
        self._inform()

    def _report(self, condition: Condition) -> None:
        news = self._status.take(condition)
        if news is News.CHANGE:
            self._output.say(condition.message if condition.status else f"{condition.type} is over")
        if news is not News.NONE:
            self._inform()

    def _inform(self) -> None:
        watching = bool(self._state) or self._bot is not None
        self._keeper.tell({"status": self._status.document(), "watch": watching})

    def _tick(self) -> None:
        self._keeper.tick()
        self._look_after_output()
        self._reactor.later(_TICK_SEC, self._tick)

    def _look_after_output(self) -> None:
        if self._output.tick():
            lost = f"{self._output.lost} log lines were dropped: {self._output.lost_reason}"
            # The output has said it already, where in the log it happened.
            self._status.take(Condition("LogsDropped", True, "Dropped", lost))
            self._inform()

    # Files of the contract

    def _remove_done(self) -> None:
        self._in_var(lambda var: files.remove(var, "done"))

    def _write_done(self) -> None:
        code = str(self._exit_code).encode()
        self._in_var(lambda var: files.replace(var, "done", code))

    def _in_var(self, change: Callable[[int], object]) -> None:
        """Change something in the agent's folder, as far as what the bot did to it allows."""
        with suppress(OSError):
            var = files.open_folder(self._paths.var)
            try:
                change(var)
            finally:
                os.close(var)
