"""The gateway's socket, on which no container can hold all connections.

Every bot can connect, tokens or not, and keep connections open without a word. The kernel tells
the process behind each one, and its control group the container: beyond a few, more are closed.
"""

from __future__ import annotations

import resource
import socket
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

CONNECTIONS_PER_CONTAINER = 32
FILES = 16384
_CREDENTIALS = struct.Struct("3i")


def raise_file_limit() -> int:
    """As many open files as this process may have, up to 16384; the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return FILES if soft == resource.RLIM_INFINITY else soft


class BoundedListener(socket.socket):
    """A listening Unix socket (taken over from `listener`) with a bound on connections in all and
    on those of one container."""

    def __init__(self, listener: socket.socket, total: int) -> None:
        super().__init__(fileno=listener.detach())
        self._total = total
        self._open: Counter[str] = Counter()

    def accept(self) -> tuple[socket.socket, Any]:
        """Raises ConnectionAbortedError for one too many, which event loops pass over."""
        connection, address = super().accept()
        container = container_of(connection)
        if self._open[container] >= CONNECTIONS_PER_CONTAINER or self._open.total() >= self._total:
            connection.close()
            raise ConnectionAbortedError
        self._open[container] += 1
        return _Counted(connection, lambda: self._release(container)), address

    def _release(self, container: str) -> None:
        self._open[container] -= 1
        if not self._open[container]:
            del self._open[container]


class _Counted(socket.socket):
    """A connection that tells when it is closed."""

    def __init__(self, connection: socket.socket, closed: Callable[[], None]) -> None:
        super().__init__(fileno=connection.detach())
        self._tell: Callable[[], None] | None = closed

    def close(self) -> None:
        super().close()
        if self._tell is not None:
            self._tell()
            self._tell = None


def container_of(connection: socket.socket) -> str:
    """What tells the peer's container from others: the control group of the process that
    connected, or its user where that process is gone already."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(raw)
    try:
        return Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return f"user {uid}"
