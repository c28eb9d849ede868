"""`runtime daemon sync`: the sync loop by itself, beside a bot that somebody else starts."""

from __future__ import annotations

import os
import signal
import time
from functools import partial

from the0.agent import files, prepare, workers
from the0.agent.client import Gateway
from the0.agent.console import Console
from the0.agent.finish import Ending, finish
from the0.agent.job import Job
from the0.agent.keeper import SyncKeeper
from the0.agent.launch import Launch, parse
from the0.agent.lines import Line
from the0.agent.paths import Paths
from the0.agent.processes import kill_all
from the0.agent.reactor import Reactor, Signals
from the0.agent.status import Condition, Exit, News, Status
from the0.agent.workers import Message, Worker

_LOOK_SEC = 1.0
_FAILED = 70


class Daemon:
    """Syncs until `/var/the0/done` appears or a signal comes, then once more."""

    def __init__(self, paths: Paths, gateway: Gateway, signals: Signals) -> None:
        self._paths = paths
        self._gateway = gateway
        self._signals = signals
        self._console = Console(1)
        self._reactor = Reactor()
        self._status = Status()
        self._status.phase = "running"
        self._keeper = SyncKeeper(self._reactor, self._take, self._inform)
        self._launch: Launch | None = None
        self._exit: Exit | None = None
        self._code = 0

    def run(self) -> int:
        """The loop; 0, or another exit code when not everything could be stored."""
        os.close(files.make_folder(self._paths.logs))
        self._reactor.watch(self._signals.fd, self._signalled)
        fetch = workers.start(self._fetch)
        self._listen(fetch)
        self._look()
        while self._exit is None:
            self._reactor.turn()
        self._keeper.stop()
        kill_all()
        if self._launch:
            self._finish(self._launch, self._exit)
        return self._code

    def _fetch(self, send: workers.Send) -> int:
        return 0 if prepare.fetch_document(self._gateway, send) else prepare.HOPELESS

    def _listen(self, worker: Worker) -> None:
        def hear() -> None:
            messages = worker.messages()
            for message in messages or ():
                self._take(message)
            if messages is None:
                self._reactor.forget(worker.fd)
                if self._launch is None:
                    self._exit, self._code = Exit(None, None, "platform"), _FAILED

        self._reactor.watch(worker.fd, hear)

    def _take(self, message: Message) -> None:
        if "document" in message:
            self._launch = parse(message["document"])
            self._keeper.start(Job(self._paths, self._gateway, self._launch))
        if "condition" in message:
            self._report(Condition(**message["condition"]))
        if "say" in message:
            self._say(message["say"])
        if message.get("complete") is False:
            self._code = _FAILED

    def _report(self, condition: Condition) -> None:
        news = self._status.take(condition)
        if news is News.CHANGE:
            self._say(condition.message if condition.status else f"{condition.type} is over")
        if news is not News.NONE:
            self._inform()

    def _say(self, text: str) -> None:
        self._console.write([Line(f"the0: {text}".encode(errors="replace"))])

    def _inform(self) -> None:
        self._keeper.tell({"status": self._status.document(), "watch": True})

    def _signalled(self) -> None:
        if self._signals.received() & {signal.SIGTERM, signal.SIGINT}:
            self._exit = Exit(None, None, "stopped")
        for pid, status in workers.reap():
            if pid != self._keeper.pid:
                continue
            if os.WIFSTOPPED(status):
                self._keeper.kill()
            else:
                self._keeper.ended()

    def _look(self) -> None:
        """Look for the done file, and tell sync of lines that somebody else writes to the log."""
        self._keeper.tick()
        self._keeper.wake()
        var = files.open_folder(self._paths.var)
        done = files.read_small(var, "done", 64)
        os.close(var)
        if done is not None and self._launch:
            text = done.decode("ascii", "replace").strip()
            self._exit = Exit(int(text) if text.isdigit() else None, None, "exited")
        self._reactor.later(_LOOK_SEC, self._look)

    def _finish(self, launch: Launch, ending: Exit) -> None:
        final_sec = launch.sync.final_sec
        end = Ending(ending, launch.writes_state, time.monotonic() + final_sec)
        job = Job(self._paths, self._gateway, launch)
        last = workers.start(partial(finish, job, self._status, end))
        workers.attend(last, self._reactor, final_sec, self._take)


def run(paths: Paths, gateway: Gateway, signals: Signals) -> int:
    """Sync until the end; the process's exit code."""
    return Daemon(paths, gateway, signals).run()
