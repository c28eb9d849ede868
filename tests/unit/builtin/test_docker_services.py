from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.builtin.docker_rules import Peer
from the0.builtin.docker_services import ServiceAddresses, parse_resolv_conf, servers
from the0.settings import GeneralSettings, MongoSettings, NatsSettings


@dataclass(frozen=True)
class Store:
    endpoint: str


@pytest.mark.parametrize(
    ("section", "found"),
    [
        (MongoSettings(), []),
        (
            MongoSettings(uri="mongodb://u:p%40@one:1234,two/db?replicaSet=r"),
            [("one", 1234), ("two", 27017)],
        ),
        (NatsSettings(), []),
        (NatsSettings(url="nats://one,tls://u:p@two:99"), [("one", 4222), ("two", 99)]),
        (Store("s3.example.com"), [("s3.example.com", None)]),
        (Store("127.0.0.1:9000"), [("127.0.0.1", 9000)]),
        (Store("https://s3.example.com:444/"), [("s3.example.com", 444)]),
        (Store(""), []),
        (GeneralSettings(), []),
    ],
)
def test_servers_are_read_from_their_sections(section: object, found: list[object]) -> None:
    assert list(servers({type(section): section})) == found


@pytest.mark.parametrize("section", [MongoSettings(uri="nonsense"), Store("host:port")])
def test_a_section_that_cannot_be_read_shuts_nothing(section: object) -> None:
    addresses = ServiceAddresses({type(section): section})
    assert addresses.peers() == ()


def test_one_unreadable_section_does_not_open_the_others() -> None:
    sections = {MongoSettings: MongoSettings(uri="nonsense"), Store: Store("192.0.2.1:9000")}
    assert ServiceAddresses(sections).peers() == (Peer("192.0.2.1/32", 9000),)


def silence(*_: object) -> None:
    raise OSError


def test_a_name_that_never_resolved_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = ServiceAddresses({Store: Store("no-such-host.invalid:1")})
    monkeypatch.setattr("socket.getaddrinfo", silence)
    assert addresses.peers() == ()
    assert addresses.unresolved == ("no-such-host.invalid",)


def test_a_name_that_ceases_to_resolve_keeps_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = ServiceAddresses({Store: Store("localhost:9000")})
    assert addresses.peers() == (Peer("127.0.0.1/32", 9000),)

    monkeypatch.setattr("socket.getaddrinfo", silence)
    monkeypatch.setattr("time.monotonic", lambda: 1e12)
    assert addresses.peers() == (Peer("127.0.0.1/32", 9000),)
    assert addresses.unresolved == ()


def test_name_servers_are_the_ipv4_ones() -> None:
    text = "# nameserver 1.1.1.1\nnameserver 10.0.0.2\nnameserver ::1\nsearch a\nnameserver\n"
    assert parse_resolv_conf(text) == ["10.0.0.2"]


@given(st.text())
def test_no_text_breaks_the_resolver_parser(text: str) -> None:
    assert isinstance(parse_resolv_conf(text), list)
