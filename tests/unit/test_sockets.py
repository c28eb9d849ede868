"""Listening sockets: taken addresses name their holder, Unix sockets change hands at once."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from the0.errors import Conflict, InvalidInput
from the0.sockets import tcp_socket, unix_socket


def test_a_taken_port_names_its_holder() -> None:
    holder = tcp_socket("127.0.0.1", 0)
    port = holder.getsockname()[1]
    with holder, pytest.raises(Conflict, match=rf"127.0.0.1:{port} is taken by .*\(pid \d+\)"):
        tcp_socket("127.0.0.1", port)


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid"])
def test_an_address_that_is_not_ours_is_named(host: str) -> None:
    with pytest.raises(InvalidInput, match=host):
        tcp_socket(host, 0)


def test_a_unix_socket_replaces_a_dead_one_and_has_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "role.sock"
    unix_socket(path).close()
    with unix_socket(path, 0o660):
        assert path.stat().st_mode & 0o777 == 0o660
        with pytest.raises(Conflict, match=r"role\.sock"):
            unix_socket(path)
        with unix_socket(path, replace=True), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))


def test_a_path_too_long_for_a_unix_socket_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="too long"):
        unix_socket(tmp_path / ("x" * 120))
