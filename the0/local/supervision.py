"""Talking to the supervisor: is it there, what shall it run, has that become ready."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from the0.errors import The0Error, Unavailable
from the0.files import write_atomic
from the0.local.paths import LocalPaths
from the0.local.processes import ORDER, SERVERS
from the0.local.ward import WardState, WardStatus

T = TypeVar("T")

POLL_SEC = 0.1
SPAWN_TIMEOUT_SEC = 20.0
START_TIMEOUT_SEC = 120.0
STOP_TIMEOUT_SEC = 1020.0
FAILURES_BEFORE_GIVING_UP = 3
TAIL_LINES = 20


class StartError(The0Error):
    """A process of `the0 local` does not stay up; the message holds the end of its log."""

    code = "start_failed"


@dataclass(frozen=True)
class Supervision:
    """`pid` of the supervisor, None when it is not running, and what it says of each process."""

    pid: int | None
    processes: Mapping[str, WardStatus]

    def runs(self, name: str) -> bool:
        return self.pid is not None and name in self.processes

    def is_ready(self, names: Sequence[str]) -> bool:
        """Whether `names`, and nothing else, are ready."""
        ready = {n for n, status in self.processes.items() if status.state is WardState.READY}
        return ready == set(names) == set(self.processes)


def look(paths: LocalPaths) -> Supervision:
    """What runs now. A status file whose supervisor is gone counts for nothing."""
    pid = _holder(paths)
    if pid is None or not paths.status.exists():
        return Supervision(pid, {})
    told: dict[str, Any] = json.loads(paths.status.read_text())
    if told["supervisor"] != pid:
        return Supervision(pid, {})
    statuses = [WardStatus.from_json(process) for process in told["processes"]]
    return Supervision(pid, {status.name: status for status in statuses})


def want(paths: LocalPaths, names: Sequence[str], environ: Mapping[str, str] = os.environ) -> None:
    """Have exactly `names` running; starts the supervisor, in `environ`, when there is none. Does
    not wait."""
    ordered = [name for name in ORDER if name in names]
    write_atomic(paths.wanted, json.dumps(ordered).encode())
    pid = _holder(paths)
    if pid is None:
        _spawn(paths, environ)
    else:
        os.kill(pid, signal.SIGHUP)


def wanted_servers(paths: LocalPaths) -> Sequence[str]:
    """The servers that were last wanted; none before the first start came so far."""
    names = json.loads(paths.wanted.read_text()) if paths.wanted.exists() else []
    return [name for name in names if name in SERVERS]


def await_wanted(
    paths: LocalPaths, names: Sequence[str], timeout_sec: float = START_TIMEOUT_SEC
) -> Supervision:
    """Return once `names`, and nothing else, are ready.

    Raises StartError for a process (or a supervisor) that ends again and again, Unavailable when
    it takes too long.
    """

    def reached() -> Supervision | None:
        seen = look(paths)
        refuse_failures(paths, seen, names)
        return seen if seen.is_ready(names) else None

    return _until(reached, timeout_sec, f"{', '.join(names)} did not become ready")


def end(paths: LocalPaths) -> None:
    """End the supervisor and with it everything it runs; returns when all have ended."""
    pid = _holder(paths)
    if pid is None:
        return
    os.kill(pid, signal.SIGTERM)
    _until(lambda: _holder(paths) is None or None, STOP_TIMEOUT_SEC, "the supervisor did not end")


def refuse_failures(paths: LocalPaths, seen: Supervision, names: Sequence[str]) -> None:
    """StartError when the supervisor is gone or one of `names` ends again and again."""
    if seen.pid is None:
        raise StartError(f"The supervisor ended.\n{_tail(paths, 'supervisor')}")
    for name in names:
        status = seen.processes.get(name)
        if status and status.failures_in_a_row >= FAILURES_BEFORE_GIVING_UP:
            raise StartError(
                f"{name} ends at once (exit code {status.exit_code}); "
                f"its log is {paths.log(name)}:\n{_tail(paths, name)}"
            )


def _holder(paths: LocalPaths) -> int | None:
    """The process id in the lock file while somebody holds the lock."""
    try:
        with paths.lock.open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0) or None
            return None
    except FileNotFoundError:
        return None


def _spawn(paths: LocalPaths, environ: Mapping[str, str]) -> None:
    with paths.log("supervisor").open("ab") as log:
        # A grandchild in a session of its own: nobody's terminal, and nobody's zombie.
        subprocess.run(
            ["setsid", "--fork", sys.executable, "-m", "the0.local.supervisor", str(paths.root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(environ),
            cwd="/",  # no ./settings.toml of whoever starts it, and no folder kept in use
            check=True,
        )
    try:
        _until(lambda: _holder(paths), SPAWN_TIMEOUT_SEC, "the supervisor did not start")
    except Unavailable as error:
        raise StartError(f"The supervisor ended.\n{_tail(paths, 'supervisor')}") from error


def _until(condition: Callable[[], T | None], timeout_sec: float, failure: str) -> T:
    """The first answer of `condition` that is not None; Unavailable after `timeout_sec`."""
    deadline = time.monotonic() + timeout_sec
    while time.monotonic() < deadline:
        answer = condition()
        if answer is not None:
            return answer
        time.sleep(POLL_SEC)
    raise Unavailable(f"{failure} within {timeout_sec:.0f} s; see `the0 local status`.")


def _tail(paths: LocalPaths, name: str) -> str:
    try:
        lines = paths.log(name).read_text(errors="replace")[-8000:].splitlines()
        return "\n".join(lines[-TAIL_LINES:])
    except FileNotFoundError:
        return ""
