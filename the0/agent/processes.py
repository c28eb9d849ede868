"""Processes of the bot: started with nothing of ours, ended without exception."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from the0.agent import landlock, workers
from the0.agent.reactor import forget_signals

NOT_STARTED = 127
"""The exit code of a process whose program could not be started, as in a shell."""

_EXEC_WAIT_MS = 10_000
_REAP_SEC = 5.0
_OOM_SCORE = b"500"


class Command(NamedTuple):
    """What to start: `writable` None for everything, else the only folders it may write to."""

    words: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    writable: Sequence[str] | None = None


class Process(NamedTuple):
    """A running process, the leader of a session and group of its own, with the descriptors from
    which its output is read; `problem` says why its program could not be started."""

    pid: int
    stdout: int
    stderr: int
    problem: str = ""

    def signal_group(self, number: int) -> None:
        """Send a signal to it and its children, where there still are some."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def spawn(command: Command) -> Process:
    """Start a process. Raises OSError when there can be no more of them."""
    opened: list[int] = []
    try:
        for _ in range(3):
            opened += os.pipe()
        pid = os.fork()
    except OSError:
        for fd in opened:
            os.close(fd)
        raise
    stdout, to_stdout, stderr, to_stderr, problem, to_problem = opened
    if not pid:
        _become(command, to_stdout, to_stderr, to_problem)
    for fd in (to_stdout, to_stderr, to_problem):
        os.close(fd)
    text = _read_problem(problem)
    _prefer_as_victim(pid)
    return Process(pid, stdout, stderr, text)


def _become(command: Command, stdout: int, stderr: int, problem: int) -> None:
    """In the fork: turn into the command; never returns."""
    try:
        os.setsid()
        forget_signals()
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.closerange(3, problem)
        os.closerange(problem + 1, os.sysconf("SC_OPEN_MAX"))
        os.chdir(command.folder)
        if command.writable is not None and landlock.version():
            landlock.allow_writes_only_below(command.writable)
        os.execvpe(command.words[0], list(command.words), dict(command.environment))
    except BaseException as error:
        text = f"{command.words[0]} could not be started: {error}"
        os.write(problem, text.encode(errors="replace")[:4096])
    finally:
        os._exit(NOT_STARTED)


def _read_problem(fd: int) -> str:
    """What went wrong before the new program ran; empty once it runs."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    try:
        return os.read(fd, 4096).decode(errors="replace") if poll.poll(_EXEC_WAIT_MS) else ""
    finally:
        os.close(fd)


def _prefer_as_victim(pid: int) -> None:
    """When memory runs out, the kernel is to end the bot and not the agent."""
    with suppress(OSError), open(f"/proc/{pid}/oom_score_adj", "wb", buffering=0) as file:
        file.write(_OOM_SCORE)


def kill_all() -> None:
    """Kill every other process of the container, or, where this is not its process 1, every
    descendant; they are gone when this returns, unless the kernel cannot end one within seconds."""
    deadline = time.monotonic() + _REAP_SEC
    while time.monotonic() < deadline:
        if os.getpid() == 1:
            with suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        else:
            _kill_descendants(os.getpid())
        if not _reap_for(0.1):
            return


def _reap_for(seconds: float) -> bool:
    """Reap for a while; whether there still are children."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        workers.reap()
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        time.sleep(0.002)
    return True


def _kill_descendants(pid: int) -> None:
    with suppress(OSError), open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
        for child in map(int, file.read().split()):
            _kill_descendants(child)
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
