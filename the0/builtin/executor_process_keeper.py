"""Starts one container's process, keeps its output and writes down its end:
``python -m the0.builtin.executor_process_keeper FOLDER PORT``.

Returns once the process runs; the keeper itself stays, in a session of its own, and outlives the
host. Where nothing could be started it says why and ends with 1; so it does without arguments,
where it only tries whether anything could be.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from the0.builtin.executor_process_events import tell
from the0.builtin.executor_process_record import (
    EXIT,
    OLDER_OUTPUT,
    OUTPUT,
    RUNNING,
    Ended,
    ProcessId,
    Record,
    Running,
    now,
    write_json,
)
from the0.builtin.executor_process_root import Surroundings, begin_namespaces, enter
from the0.models import ContainerAction

READY = b"+"
NOT_STARTED = 127
MAX_OUTPUT = 1 << 20
_PIECE = 1 << 16
_DEAF_TO = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def main() -> None:
    """The caller's process: fork the keeper, pass on what it says, and end."""
    if not sys.argv[1:]:
        sys.exit(_try())
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    heard, told = os.pipe()
    if os.fork() == 0:
        os.close(heard)
        _keep(folder, port, told)
    os.close(told)
    words = b"".join(iter(lambda: os.read(heard, _PIECE), b""))
    sys.exit(words.decode(errors="replace") or 0)


def _keep(folder: Path, port: int, told: int) -> NoReturn:
    """In the fork: the keeper's whole life."""
    code = 1
    try:
        _detach()
        record = Record.read(folder)
        try:
            main_process, output = _start(folder, record, port)
        except FileExistsError:
            code = 0  # somebody else started it
        except OSError as error:
            os.write(told, (error.strerror or str(error)).encode())
        else:
            os.close(told)
            _tell(folder, ContainerAction.STARTED, record)
            _keep_output(output, folder)
            _write_end(folder, main_process)
            _tell(folder, ContainerAction.DIED, record)
            code = 0
    finally:
        os._exit(code)


def _try() -> str | int:
    """Why no process can have surroundings of its own; 0 when it can."""
    with TemporaryDirectory(prefix="the0-") as scratch:
        tree, root = Path(scratch, "tree"), Path(scratch, "root")
        tree.mkdir()
        root.mkdir()
        try:
            begin_namespaces()
            pid = os.fork()
            if pid:
                return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            enter(Surroundings(root, tree, {}, {}, 1 << 20, 64))
        except OSError as error:
            return error.strerror or str(error)
        os._exit(0)


def _detach() -> None:
    os.setsid()
    os.chdir("/")
    for number in _DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)


def _start(folder: Path, record: Record, port: int) -> tuple[int, int]:
    """The number of the new process, and where its output is read."""
    output, to_output = os.pipe()
    state, to_state = os.pipe()
    go, to_go = os.pipe()
    begin_namespaces()
    pid = os.fork()
    if pid == 0:
        for fd in (output, state, to_go):
            os.close(fd)
        _become(folder, record, port, _Pipes(to_output, to_state, go))
    for fd in (to_output, to_state, go):
        os.close(fd)
    word = os.read(state, _PIECE)
    os.close(state)
    if word != READY:
        os.waitpid(pid, 0)
        raise OSError(0, word.decode(errors="replace") or "its surroundings could not be made")
    try:
        _write_running(folder, pid, port)
    except FileExistsError:
        os.kill(pid, signal.SIGKILL)
        raise
    os.write(to_go, b"+")
    os.close(to_go)
    return pid, output


class _Pipes:
    """The ends that the new process holds."""

    def __init__(self, output: int, state: int, go: int) -> None:
        self.output, self.state, self.go = output, state, go


def _become(folder: Path, record: Record, port: int, pipes: _Pipes) -> NoReturn:
    """In the second fork: wait until the keeper has written it down, then turn into the command."""
    try:
        try:
            enter(_surroundings(folder, record))
        except BaseException as error:
            os.write(pipes.state, str(error).encode())
            raise
        os.write(pipes.state, READY)
        if not os.read(pipes.go, 1):
            os._exit(1)
        for number in _DEAF_TO:
            signal.signal(number, signal.SIG_DFL)
        os.dup2(pipes.output, 1)
        os.dup2(pipes.output, 2)
        os.closerange(3, 256)
        words, environment = list(record.command), _environment(record, port)
        os.execvpe(words[0], words, environment)  # noqa: S606 - there is to be no shell
    except BaseException as error:
        os.write(2, f"{record.command[0]} could not be started: {error}\n".encode())
    finally:
        os._exit(NOT_STARTED)


def _surroundings(folder: Path, record: Record) -> Surroundings:
    return Surroundings(
        mount_point=folder / "root",
        tree=Path(record.tree),
        folders=record.folders,
        read_only={"/run/the0": record.gateway_dir},
        tmp_bytes=record.tmp_bytes,
        open_files=record.open_files,
    )


def _environment(record: Record, port: int) -> Mapping[str, str]:
    return {"PATH": _PATH, "HOME": "/tmp", "THE0_QUERY_PORT": str(port), **record.env}  # noqa: S108


def _write_running(folder: Path, pid: int, port: int) -> None:
    """Raises FileExistsError when another keeper was first."""
    keeper, main_process = ProcessId.of(os.getpid()), ProcessId.of(pid)
    assert keeper
    assert main_process
    scratch = folder / f".{RUNNING}.{os.getpid()}"
    write_json(scratch, asdict(Running(keeper, main_process, port, now())))
    try:
        (folder / RUNNING).hardlink_to(scratch)
    finally:
        scratch.unlink()


def _keep_output(source: int, folder: Path) -> None:
    """Until nobody can write any more: all it says, the older half in a second file."""
    path = folder / OUTPUT
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    while data := os.read(source, _PIECE):
        with suppress(OSError):  # a full disk costs lines, not the bot
            os.write(log, data)
            if os.fstat(log).st_size >= MAX_OUTPUT:
                path.replace(folder / OLDER_OUTPUT)
                fresh = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                os.dup2(fresh, log)
                os.close(fresh)


def _write_end(folder: Path, pid: int) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    write_json(folder / EXIT, asdict(Ended(code if code >= 0 else 128 - code, now())))


def _tell(folder: Path, action: ContainerAction, record: Record) -> None:
    with suppress(OSError):
        tell(folder.parent.parent / "listeners", action, record.ref, record.bot_id)


if __name__ == "__main__":
    main()
