"""Listening sockets of our own, so that a taken address is our own error and names its holder."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator
from pathlib import Path

from the0.errors import Conflict, InvalidInput

UNIX_PATH_BYTES = 107
"""Longest path of a Unix socket that Linux takes."""

_BACKLOG = 128
_LISTENING = "0A"


def tcp_socket(host: str, port: int) -> socket.socket:
    """A bound TCP socket; port 0 takes a free one.

    Raises :class:`Conflict` naming the process that holds the port (as far as we may see it) and
    :class:`InvalidInput` for an address that this machine does not have.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise InvalidInput(f"Cannot listen on {host!r}: {error.strerror or error}") from error
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        # Binding alone succeeds beside another socket that is bound but does not listen yet.
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise _bind_error(host, port, error) from error
    sock.setblocking(False)
    return sock


def unix_socket(path: Path, mode: int = 0o600, *, replace: bool = False) -> socket.socket:
    """A bound Unix socket at `path` with these permissions, in place of a dead one.

    A socket that still answers raises :class:`Conflict`, unless `replace` (for callers who hold a
    lock that says that the path is theirs). The path changes hands at once: there is no moment
    without a socket.
    """
    if len(bytes(path)) > UNIX_PATH_BYTES - len(".new"):
        raise InvalidInput(
            f"The path of the socket {path} is too long for Linux; "
            "choose a shorter state directory (setting `state_dir`)."
        )
    if not replace and _answers(path):
        raise Conflict(f"Another process serves {path} already; stop it first.")
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(fresh))
        fresh.chmod(mode)
        sock.listen(_BACKLOG)
        fresh.rename(path)
    except OSError as error:
        sock.close()
        raise InvalidInput(f"Cannot listen on {path}: {error.strerror}") from error
    sock.setblocking(False)
    return sock


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError as error:
            # A full backlog means that somebody listens and is busy.
            return error.errno == errno.EAGAIN
    return True


def _bind_error(host: str, port: int, error: OSError) -> Conflict | InvalidInput:
    if error.errno == errno.EADDRINUSE:
        holder = port_holder(port) or "another process"
        return Conflict(
            f"{host}:{port} is taken by {holder}; stop it, or choose another address in settings."
        )
    return InvalidInput(f"Cannot listen on {host}:{port}: {error.strerror}")


def port_holder(port: int) -> str | None:
    """Who listens on TCP `port` on this machine, as `name (pid n)`; None where we cannot tell."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not inodes:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(str(link.readlink()) in inodes for link in (process / "fd").iterdir()):
                name = (process / "comm").read_text().strip()
                return f"{name} (pid {process.name})"
    return None


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                local, state, inode = fields[1], fields[3], fields[9]
                if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                    yield inode
