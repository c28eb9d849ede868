"""The networks of an instance: made when needed, filled evenly, at most so many containers each."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from docker import APIClient

from the0.builtin import docker_names as names
from the0.builtin.docker_errors import NO_NETWORK, translated
from the0.errors import Conflict, NotFound

_ICC = "com.docker.network.bridge.enable_icc"
_BRIDGE = "com.docker.network.bridge.name"
_BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


def options_of(instance: str, number: int) -> dict[str, str]:
    """Driver options of a network: no container reaches another; its bridge has our name."""
    return {_ICC: "false", _BRIDGE: names.bridge_name(instance, number)}


class Networks:
    """An instance's networks, and how many containers were last seen on each."""

    def __init__(self, instance: str, installation: str, size: int) -> None:
        self._instance = instance
        self._installation = installation
        self._size = size
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}
        self._members: Counter[str] = Counter()

    def ensure(self, client: APIClient) -> None:
        """Look at the networks again and make the first one unless it exists.

        Raises :class:`~the0.errors.Conflict` for a network with a name of ours that is not as we
        make them.
        """
        with self._lock:
            self._look(client)
            if not self._numbers:
                self._make(client, 0)

    def seen(self, networks: Iterable[str | None]) -> None:
        """Take the network of each container that a complete list held."""
        with self._lock:
            self._members = Counter(network for network in networks if network)

    def take(self, client: APIClient) -> str:
        """The network for one more container: the first that has room, else a new one."""
        with self._lock:
            if not self._numbers:
                self._look(client)
            name = next((name for name in self._numbers if self._has_room(name)), None)
            if name is None:
                name = self._make(client, names.free_number(set(self._numbers.values())))
            self._members[name] += 1
            return name

    def remove_all(self, client: APIClient) -> None:
        """Remove the networks. Raises Conflict while a container is attached to one."""
        with self._lock:
            self._look(client)
            for name in tuple(self._numbers):
                _remove(client, name)
            self._numbers.clear()

    def _has_room(self, name: str) -> bool:
        return self._members[name] < self._size

    def _look(self, client: APIClient) -> None:
        with translated("list networks", NO_NETWORK):
            found = client.networks(filters={"label": [f"{names.INSTANCE}={self._instance}"]})
        self._numbers = dict(sorted(map(self._number_of, found), key=lambda item: item[1]))

    def _number_of(self, network: Mapping[str, Any]) -> tuple[str, int]:
        name = str(network["Name"])
        suffix = name.rpartition("-")[2]
        options = network.get("Options") or {}
        number = int(suffix) if suffix.isdigit() else 0
        wanted = options_of(self._instance, number)
        if any(options.get(key) != value for key, value in wanted.items()):
            raise Conflict(
                f"Network {name} is not as this installation makes its networks. "
                f"Remove it (`docker network rm {name}`); it is made anew."
            )
        return name, number

    def _make(self, client: APIClient, number: int) -> str:
        name = names.network_name(self._instance, number)
        labels = {names.INSTALLATION: self._installation, names.INSTANCE: self._instance}
        try:
            with translated(f"make network {name}", NO_NETWORK):
                client.create_network(
                    name,
                    driver="bridge",
                    options=options_of(self._instance, number),
                    labels=labels,
                    check_duplicate=True,
                )
        except Conflict:
            # Another process of this instance was faster; whoever took the name otherwise is named.
            self._look(client)
            if name not in self._numbers:
                raise
        self._numbers[name] = number
        return name


def _remove(client: APIClient, name: str) -> None:
    try:
        with translated(f"remove network {name}", NO_NETWORK):
            client.remove_network(name)
    except NotFound:
        return


def bridge_filter_on() -> bool:
    """Whether the kernel shows bridged packets to iptables, without which `enable_icc` is void."""
    try:
        return _BRIDGE_FILTER.read_text().strip() == "1"
    except OSError:
        return False
