from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.builtin.docker_client import MOST_FILES, Clients, most_open_files, parse_hard_limit
from the0.builtin.docker_executor import engine_info
from the0.builtin.docker_memory import peak_file, peak_of
from the0.builtin.docker_settings import log_size
from the0.errors import Unavailable

LIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max processes             95000                95000                processes
Max open files            {soft}                 {hard}              files
"""


@pytest.mark.parametrize(
    ("hard", "found"),
    [("20000", 20000), ("1048576", 1048576), ("unlimited", MOST_FILES)],
)
def test_the_engines_own_limit_is_read(hard: str, found: int) -> None:
    limit = parse_hard_limit(LIMITS.format(soft="1024", hard=hard))
    assert limit == found


def test_limits_without_the_line_are_no_limit() -> None:
    assert parse_hard_limit("") == MOST_FILES


def test_there_is_always_room_for_some_files() -> None:
    assert 64 < most_open_files() <= MOST_FILES


@pytest.mark.parametrize("size", ["10m", "1k", "2g"])
def test_sizes_of_logs_are_dockers(size: str) -> None:
    assert log_size(size) == size


@pytest.mark.parametrize("size", ["", "0m", "10", "10 MB", "-1m", 5, None])
def test_other_sizes_are_refused(size: object) -> None:
    with pytest.raises(ValueError, match="10m"):
        log_size(size)


@pytest.mark.parametrize(
    ("host", "local"),
    [("", True), ("unix:///run/docker.sock", True), ("tcp://10.0.0.1:2375", False)],
)
def test_only_a_socket_is_on_this_machine(
    host: str, local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert Clients(host).is_local is local


def test_an_engine_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"nothing\.sock"):
        Clients(f"unix://{tmp_path}/nothing.sock").get(1)


def test_an_engine_is_known_by_its_id() -> None:
    info = engine_info({"ID": "X", "ServerVersion": "20.10", "LiveRestoreEnabled": True})
    assert (info.id, info.version, info.keeps_containers, info.warnings) == ("X", "20.10", True, [])


def test_what_an_engine_cannot_do_is_warned_of() -> None:
    info = engine_info(
        {
            "ID": "X",
            "MemoryLimit": False,
            "PidsLimit": False,
            "SecurityOptions": ["name=apparmor", "name=rootless"],
            "OSType": "windows",
        }
    )
    assert len(info.warnings) == 5
    assert not info.keeps_containers


def test_the_peak_of_a_version_1_hierarchy_is_found() -> None:
    groups = "12:pids:/docker/c\n9:cpu,memory:/docker/c\n0::/docker/c\n"
    expected = Path("/sys/fs/cgroup/memory/docker/c/memory.max_usage_in_bytes")
    assert peak_file(groups) == expected


def test_the_root_group_is_nobodys() -> None:
    assert peak_file("9:memory:/\n0::/\n") is None


def test_a_process_that_has_ended_has_no_peak() -> None:
    assert peak_of(2**22 + 1) is None


@given(st.text())
def test_no_text_breaks_the_group_parser(text: str) -> None:
    found = peak_file(text)
    assert found is None or found.is_relative_to("/sys/fs/cgroup")
