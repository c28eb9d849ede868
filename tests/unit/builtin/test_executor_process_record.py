from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from the0.builtin.executor_process_record import (
    KILLED,
    LOOPBACK,
    Ended,
    ProcessId,
    Record,
    Running,
    container,
    look,
    now,
    write_json,
)
from the0.models import BotType, ContainerState, Purpose

RECORD = Record(
    ref="n.1",
    name="n",
    bot_id="b",
    type="realtime",
    purpose="bot",
    launch="l",
    run="",
    spec_hash="v1:s",
    platform_hash="v1:p",
    created_at="2026-01-01T00:00:00+00:00",
    command=("true",),
    env={"THE0_TOKEN": "secret"},
    tree="/tree",
    folders={"/bot": "/b"},
    gateway_dir="/g",
    tmp_bytes=1,
    open_files=1,
)
SELF = ProcessId(1, 2, "boot")
RUNNING = Running(SELF, SELF, 20_000, "2026-01-01T00:00:01+00:00")
ENDED = Ended(3, "2026-01-01T00:00:02+00:00")


@pytest.mark.parametrize(
    ("running", "ended", "state", "code", "address"),
    [
        (None, None, ContainerState.CREATED, None, None),
        (RUNNING, None, ContainerState.RUNNING, None, LOOPBACK),
        (RUNNING, ENDED, ContainerState.EXITED, 3, None),
    ],
)
def test_three_files_say_how_it_stands(
    running: Running | None,
    ended: Ended | None,
    state: ContainerState,
    code: int | None,
    address: str | None,
) -> None:
    found = container(RECORD, running, ended)
    assert (found.state, found.exit_code, found.address) == (state, code, address)
    assert (found.type, found.purpose) == (BotType.REALTIME, Purpose.BOT)
    assert (found.spec_hash, found.platform_hash) == ("v1:s", "v1:p")


def test_a_record_comes_back_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    RECORD.write(tmp_path)
    assert Record.read(tmp_path) == RECORD
    assert (tmp_path / "record.json").stat().st_mode & 0o777 == 0o600
    assert look(tmp_path).state is ContainerState.CREATED


def test_one_whose_keeper_is_gone_was_killed(tmp_path: Path) -> None:
    RECORD.write(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        who = ProcessId.of(process.pid)
        assert who
        told = {"pid": who.pid, "start": who.start, "boot": who.boot}
        running = {"keeper": told, "main": told, "port": 1, "started_at": now()}
        write_json(tmp_path / "running.json", running)
        assert look(tmp_path).state is ContainerState.RUNNING
        who.signal(signal.SIGKILL)
    found = look(tmp_path)
    assert (found.state, found.exit_code) == (ContainerState.EXITED, KILLED)
    assert "ended" in found.error


def test_a_process_is_never_taken_for_another() -> None:
    me = ProcessId.of(os.getpid())
    assert me
    fd = me.handle()
    assert fd is not None
    os.close(fd)
    later = ProcessId(me.pid, me.start + 1, me.boot)
    assert later.handle() is None
    later.signal(signal.SIGKILL)


def test_what_has_ended_and_was_not_reaped_is_no_process() -> None:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert ProcessId.of(process.pid) is None
    assert ProcessId.of(process.pid) is None
