"""Connections to the engine, made when first needed, with a time-out on every call."""

from __future__ import annotations

import resource
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.utils import kwargs_from_env

from the0.builtin.docker_errors import translated

_PID_FILES = (Path("/run/docker.pid"), Path("/var/run/docker.pid"))

_DEFAULT = "unix:///var/run/docker.sock"
MOST_FILES = 1 << 20
"""What no limit means: the most that the kernel grants unless told otherwise."""

_POOL = 64  # connections kept: more than the host has threads for this plugin


class Clients:
    """One client a time-out. The API version is agreed on with the engine at the first call."""

    def __init__(self, host: str) -> None:
        self._options: Mapping[str, Any] = {"base_url": host} if host else kwargs_from_env()
        self._address = str(self._options.get("base_url") or _DEFAULT)
        self._lock = threading.Lock()
        self._clients: dict[float, APIClient] = {}

    def get(self, timeout_sec: float) -> APIClient:
        """The client whose calls end within `timeout_sec`. Raises Unavailable without an engine."""
        client = self._clients.get(timeout_sec)
        if client is not None:
            return client
        # Not under the lock: with an engine that hangs, each thread waits once, not for all others.
        made = self._connect(timeout_sec)
        with self._lock:
            client = self._clients.setdefault(timeout_sec, made)
        if client is not made:
            made.close()
        return client

    def _connect(self, timeout_sec: float) -> APIClient:
        with translated(f"be reached at {self._address}"):
            if self.is_local:
                _knock(self._address.removeprefix("unix://"), timeout_sec)
            timeout = max(1, round(timeout_sec))
            return APIClient(version="auto", timeout=timeout, max_pool_size=_POOL, **self._options)

    @property
    def is_local(self) -> bool:
        """Whether the engine is on this machine, as far as its address tells."""
        return self._address.startswith("unix://")

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()


def _knock(path: str, timeout_sec: float) -> None:
    # The SDK's own words for a socket that is missing or forbidden name neither it nor why.
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(timeout_sec)
        probe.connect(path)


def most_open_files() -> int:
    """The hard limit of open files that a local engine can hand on: its own."""
    for pid_file in _PID_FILES:
        try:
            limits = Path(f"/proc/{int(pid_file.read_text())}/limits").read_text()
        except (OSError, ValueError):
            continue
        return parse_hard_limit(limits)
    return _counted(resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def parse_hard_limit(limits: str) -> int:
    """The hard limit of open files in the text of `/proc/<pid>/limits`."""
    line = next((line for line in limits.splitlines() if line.startswith("Max open files")), "")
    words = line.split()
    return _counted(int(words[-2])) if len(words) > 4 and words[-2].isdigit() else MOST_FILES


def _counted(limit: int) -> int:
    return MOST_FILES if limit == resource.RLIM_INFINITY else min(limit, MOST_FILES)
