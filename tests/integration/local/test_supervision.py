"""The supervisor with real servers: what it restarts, what it leaves when it is killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from the0.errors import Conflict
from the0.local import supervision
from the0.local.config import load_or_create
from the0.local.paths import LocalPaths
from the0.local.supervision import StartError
from the0.local.supervisor import holding

SERVERS = ["s3", "nats"]


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[LocalPaths]:
    paths = LocalPaths(tmp_path / "local")
    paths.make()
    load_or_create(paths.config, "test")
    yield paths
    supervision.end(paths)


def start(paths: LocalPaths, names: list[str]) -> supervision.Supervision:
    supervision.want(paths, names)
    return supervision.await_wanted(paths, names)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def alive(pid: int | None) -> bool:
    return pid is not None and Path(f"/proc/{pid}/stat").exists() and not _zombie(pid)


def _zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_killed_server_comes_back_and_its_neighbour_is_left_alone(paths: LocalPaths) -> None:
    before = start(paths, SERVERS).processes
    os.kill(before["s3"].pid or 0, signal.SIGKILL)
    eventually(lambda: supervision.look(paths).processes["s3"].restarts == 1)
    after = supervision.await_wanted(paths, SERVERS).processes
    assert after["s3"].pid != before["s3"].pid
    assert after["s3"].exit_code == -signal.SIGKILL
    assert after["nats"] == before["nats"]


def test_no_server_outlives_a_killed_supervisor(paths: LocalPaths) -> None:
    seen = start(paths, SERVERS)
    os.kill(seen.pid or 0, signal.SIGKILL)
    eventually(lambda: not any(alive(status.pid) for status in seen.processes.values()))
    assert supervision.look(paths) == supervision.Supervision(None, {})
    start(paths, SERVERS)


def test_what_is_no_longer_wanted_is_stopped(paths: LocalPaths) -> None:
    seen = start(paths, SERVERS)
    assert set(start(paths, ["nats"]).processes) == {"nats"}
    assert not alive(seen.processes["s3"].pid)
    supervision.end(paths)
    assert not alive(seen.processes["nats"].pid)


def test_a_second_supervisor_is_refused(paths: LocalPaths) -> None:
    start(paths, ["nats"])
    with pytest.raises(Conflict, match="Another supervisor"), holding(paths.lock):
        pass


def test_a_server_that_cannot_start_is_named_with_its_log(paths: LocalPaths) -> None:
    paths.data("nats").write_text("a file where a folder is needed")
    supervision.want(paths, ["nats"])
    with pytest.raises(StartError, match=r"nats ends at once .*nats\.log"):
        supervision.await_wanted(paths, ["nats"])
