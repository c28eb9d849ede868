"""What is on disk about the processes of one installation, and what it says of them.

::

    <state dir>/processes/
      engine                            an id of its own
      images/<tag>.json, trees/<id>/    see executor_process_images
      <installation>/
        listeners/<socket>              see executor_process_events
        volumes/<name>/{bot.json,state/,logs/}
        containers/<name>/
          record.json                   written first; the folder appears whole
          running.json                  once it runs: who, since when, at which port
          exit.json                     once it has ended; written by its keeper
          bot/, state/, logs/, root/    its own folders (the volumes of a query are among them)
          output.log, output.log.1      what it wrote itself

A process is known by its number, its start time and the boot of the machine, so that a number that
was given to another process is never taken for it.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from the0.models import BotType, Container, ContainerState, Purpose

RECORD, RUNNING, EXIT, OUTPUT = "record.json", "running.json", "exit.json", "output.log"
OLDER_OUTPUT = f"{OUTPUT}.1"
KILLED = 128 + signal.SIGKILL
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class ProcessId:
    """A process that cannot be mistaken for another one."""

    pid: int
    start: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """None when there is no such process, or only its exit code is left of it."""
        try:
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if words[0] in "ZX" else cls(pid, int(words[19]), boot_id())

    def handle(self) -> int | None:
        """A descriptor of this very process (pidfd), to be closed; None when it has ended."""
        try:
            fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        if ProcessId.of(self.pid) == self:
            return fd
        os.close(fd)
        return None

    def signal(self, number: int) -> None:
        """No error when it has ended."""
        fd = self.handle()
        if fd is None:
            return
        try:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, number)
        finally:
            os.close(fd)


def boot_id() -> str:
    """Which boot of the machine this is."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True)
class Record:
    """A container as it was asked for. `tree` is its image, `folders` maps its paths to folders of
    this machine that it may write to; `env` holds the launch's token, so the file is 0600."""

    ref: str
    name: str
    bot_id: str
    type: str
    purpose: str
    launch: str
    run: str
    spec_hash: str
    platform_hash: str
    created_at: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    tree: str
    folders: Mapping[str, str]
    gateway_dir: str
    tmp_bytes: int
    open_files: int

    @classmethod
    def read(cls, folder: Path) -> Record:
        given = read_json(folder / RECORD)
        return cls(**{**given, "command": tuple(given["command"])})

    def write(self, folder: Path) -> None:
        write_json(folder / RECORD, asdict(self))


@dataclass(frozen=True)
class Running:
    """A container that was started: its keeper, its process 1, the port of its query server."""

    keeper: ProcessId
    main: ProcessId
    port: int
    started_at: str

    @classmethod
    def read(cls, folder: Path) -> Running | None:
        try:
            given = read_json(folder / RUNNING)
        except FileNotFoundError:
            return None
        processes = {name: ProcessId(**given[name]) for name in ("keeper", "main")}
        return cls(**{**given, **processes})


@dataclass(frozen=True)
class Ended:
    """How a container ended: as a shell gives it, 128 and the signal's number for a signal."""

    code: int
    finished_at: str
    error: str = ""

    @classmethod
    def read(cls, folder: Path) -> Ended | None:
        try:
            return cls(**read_json(folder / EXIT))
        except FileNotFoundError:
            return None


def look(folder: Path) -> Container:
    """The container in `folder` as it is now. Raises FileNotFoundError when it is gone."""
    record = Record.read(folder)
    ended = Ended.read(folder)
    running = Running.read(folder)
    if running and not ended and not _lives(running.keeper):
        # Its last act is to write down the end; without that, it was killed, and the bot with it.
        ended = Ended.read(folder) or Ended(KILLED, now(), "The process that kept it was ended.")
    return container(record, running, ended)


def container(record: Record, running: Running | None, ended: Ended | None) -> Container:
    """What three files say together. Pure."""
    runs = running is not None and ended is None
    return Container(
        ref=record.ref,
        name=record.name,
        bot_id=record.bot_id,
        type=BotType(record.type),
        purpose=Purpose(record.purpose),
        state=_state(running, ended),
        launch=record.launch,
        run=record.run,
        spec_hash=record.spec_hash,
        platform_hash=record.platform_hash,
        created_at=datetime.fromisoformat(record.created_at),
        started_at=datetime.fromisoformat(running.started_at) if running else None,
        finished_at=datetime.fromisoformat(ended.finished_at) if ended else None,
        exit_code=ended.code if ended else None,
        error=ended.error if ended else "",
        address=LOOPBACK if runs else None,
    )


def _state(running: Running | None, ended: Ended | None) -> ContainerState:
    if ended:
        return ContainerState.EXITED
    return ContainerState.RUNNING if running else ContainerState.CREATED


def _lives(process: ProcessId) -> bool:
    return process.boot == boot_id() and ProcessId.of(process.pid) == process


def now() -> str:
    return datetime.now(UTC).isoformat()


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace `path` (0600); a reader sees all of it or nothing."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(value, file)
    scratch.replace(path)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())
