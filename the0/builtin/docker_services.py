"""Where the platform's own servers are, so that the firewall can close them to bots."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from the0.builtin.docker_rules import Peer
from the0.settings import MongoSettings, NatsSettings

Server = tuple[str, int | None]
"""Host name or address, and port; None means all ports."""

_NATS_PORT = 4222
_DNS_PORT = 53
_KEPT_SEC = 300.0
_RETRY_SEC = 60.0  # a name server that is down costs many seconds at each question
_RESOLV_CONF = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")


def servers(sections: Mapping[type, Any]) -> Iterator[Server]:
    """MongoDB, NATS, and each `endpoint` that another section names, as the settings have them.

    What cannot be read is left out: that nobody can use it is told by those who connect.
    """
    for kind, values in sections.items():
        with suppress(PyMongoError, ValueError):
            yield from _servers_of(kind, values)


def _servers_of(kind: type, values: Any) -> list[Server]:
    if kind is MongoSettings:
        return list(parse_uri(values.uri, validate=False)["nodelist"]) if values.uri else []
    if kind is NatsSettings:
        urls = (url.strip() for url in values.url.split(","))
        return [_endpoint(url, _NATS_PORT) for url in urls if url]
    endpoint = getattr(values, "endpoint", "")
    return [_endpoint(str(endpoint), None)] if endpoint else []


def _endpoint(text: str, default: int | None) -> Server:
    parts = urlsplit(text if "://" in text else f"//{text}")
    return parts.hostname or "", parts.port or default


def name_servers() -> list[Peer]:
    """The name servers that containers ask (through Docker's own), from the resolver's files."""
    return [
        Peer(f"{address}/32", _DNS_PORT)
        for path in map(Path, _RESOLV_CONF)
        if path.is_file()
        for address in parse_resolv_conf(path.read_text(errors="replace"))
    ]


def parse_resolv_conf(text: str) -> list[str]:
    """The IPv4 name servers of a resolv.conf."""
    words = (line.split() for line in text.splitlines())
    named = [found[1] for found in words if len(found) > 1 and found[0] == "nameserver"]
    return [address for address in named if _is_ipv4(address)]


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


class ServiceAddresses:
    """The servers' addresses, looked up again every five minutes (each minute while one is
    unknown); a name that cannot be resolved keeps the addresses it had. `unresolved` names those
    that never could."""

    def __init__(self, sections: Mapping[type, Any]) -> None:
        self._sections = sections
        self._known: dict[Server, tuple[Peer, ...]] = {}
        self._due = 0.0
        self.unresolved: tuple[str, ...] = ()

    def peers(self) -> tuple[Peer, ...]:
        """All known addresses of the servers; blocks on DNS when they are due."""
        if time.monotonic() >= self._due:
            self._refresh()
            kept = _RETRY_SEC if self.unresolved else _KEPT_SEC
            self._due = time.monotonic() + kept
        return tuple(peer for found in self._known.values() for peer in found)

    def _refresh(self) -> None:
        missing = []
        for server in servers(self._sections):
            found = _resolve(server)
            if found:
                self._known[server] = found
            elif server not in self._known:
                missing.append(server[0])
        self.unresolved = tuple(missing)


def _resolve(server: Server) -> tuple[Peer, ...]:
    host, port = server
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    addresses = {str(info[4][0]) for info in found}
    return tuple(Peer(f"{address}/32", port) for address in sorted(addresses))
