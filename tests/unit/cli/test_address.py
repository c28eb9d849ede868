"""Which control API a command talks to."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from the0.cli.address import Address, find_address
from the0.errors import Forbidden, InvalidSettings


@pytest.fixture
def listening() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Nothing is set up: no local folder, an empty state directory."""
    return {"THE0_LOCAL_DIR": str(tmp_path / "local"), "THE0_STATE_DIR": str(tmp_path / "state")}


def remember_local(environ: dict[str, str], url: str) -> None:
    folder = Path(environ["THE0_LOCAL_DIR"])
    folder.mkdir()
    (folder / "client.json").write_text(json.dumps({"url": url, "token": "local"}))


def test_what_is_given_is_taken_without_looking_further(environ: dict[str, str]) -> None:
    broken = {**environ, "THE0_API__PORT": "no port"}
    assert find_address("http://x", "t", broken) == Address("http://x", "t")
    with pytest.raises(InvalidSettings, match="refused"):
        find_address("http://x", None, broken)


def test_nothing_set_up_says_how_to_begin(environ: dict[str, str]) -> None:
    with pytest.raises(Forbidden, match="the0 local start"):
        find_address(None, None, environ)
    with pytest.raises(Forbidden) as caught:
        find_address("http://user:hunter2@x", None, environ)
    assert "hunter2" not in caught.value.message


def test_the_settings_name_address_and_token(environ: dict[str, str]) -> None:
    given = {**environ, "THE0_API__PORT": "1234", "THE0_API__TOKEN": "of settings"}
    assert find_address(None, None, given) == Address("http://127.0.0.1:1234", "of settings")
    assert find_address("http://x", None, given) == Address("http://x", "of settings")
    v6 = {**given, "THE0_API__HOST": "::1"}
    assert find_address(None, None, v6).url == "http://[::1]:1234"


def test_the_token_that_a_host_made_is_found_in_its_state_directory(
    environ: dict[str, str],
) -> None:
    state = Path(environ["THE0_STATE_DIR"])
    state.mkdir()
    (state / "api.token").write_text("of the file\n")
    assert find_address(None, None, environ).token == "of the file"


def test_a_local_one_that_runs_wins_over_settings(environ: dict[str, str], listening: str) -> None:
    remember_local(environ, listening)
    given = {**environ, "THE0_API__TOKEN": "of settings"}
    assert find_address(None, None, given) == Address(listening, "local")


def test_a_local_one_that_does_not_run_is_taken_only_where_there_is_no_other(
    environ: dict[str, str],
) -> None:
    remember_local(environ, "http://127.0.0.1:1")
    assert find_address(None, None, environ) == Address("http://127.0.0.1:1", "local")
    given = {**environ, "THE0_API__TOKEN": "of settings"}
    assert find_address(None, None, given).token == "of settings"
