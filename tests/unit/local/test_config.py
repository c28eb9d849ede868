from __future__ import annotations

from pathlib import Path

import pytest

from the0.errors import InvalidInput
from the0.local.config import choose_ports, load, load_or_create, remember, with_own_api
from the0.settings import ApiSettings


def test_credentials_and_ports_are_made_once_and_remembered(tmp_path: Path) -> None:
    path = tmp_path / "local.json"
    first = load_or_create(path, "demo")
    assert load_or_create(path, "demo") == first
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_folders_share_no_credential(tmp_path: Path) -> None:
    one, other = (load_or_create(tmp_path / name, "demo") for name in ("a", "b"))
    assert one.mongo_password != other.mongo_password
    assert one.s3_secret_key != other.s3_secret_key
    assert one.nats_password != other.nats_password
    assert one.api_token != other.api_token


def test_the_known_api_port_is_taken_only_when_it_is_free() -> None:
    assert choose_ports(9477, lambda _: True)[3] == 9477
    ports = choose_ports(9477, lambda _: False)
    assert 9477 not in ports
    assert len(set(ports)) == 4


def test_the_users_own_port_and_token_of_the_api_win_and_are_remembered(tmp_path: Path) -> None:
    path = tmp_path / "local.json"
    made = load_or_create(path, "demo")
    assert with_own_api(made, ApiSettings()) == made
    own = with_own_api(made, ApiSettings(port=9500, token="mine"))
    assert (own.api_port, own.api_token) == (9500, "mine")
    remember(path, own)
    assert load(path) == own


def test_another_installation_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "local.json"
    load_or_create(path, "demo")
    with pytest.raises(InvalidInput, match=r"belongs to the installation 'demo', not 'other'"):
        load_or_create(path, "other")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"instance": "x"}', '{"unknown": 1}'])
def test_a_broken_file_is_named_and_never_replaced(tmp_path: Path, text: str) -> None:
    path = tmp_path / "local.json"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=r"local\.json is broken"):
        load_or_create(path, "demo")
    assert path.read_text() == text


def test_a_missing_file_says_how_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="the0 local start"):
        load(tmp_path / "local.json")
