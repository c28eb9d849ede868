"""Telling those who listen what happened to a container: datagrams to their sockets.

Nothing is kept: who does not listen, or is slow, misses it and finds it at the next look.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from the0.models import ContainerAction, ContainerEvent

_LOOK_SEC = 0.2
_MAX_BYTES = 1 << 16


def tell(listeners: Path, action: ContainerAction, ref: str, bot_id: str) -> None:
    """Send it to every socket in `listeners`; those that nobody holds any more are removed."""
    message = [action.value, ref, bot_id, datetime.now(UTC).isoformat()]
    data = json.dumps(message).encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for path in list(listeners.iterdir()):
            with _short(path) as address:
                try:
                    sender.sendto(data, address)
                except (ConnectionRefusedError, FileNotFoundError):
                    path.unlink(missing_ok=True)
                except OSError:
                    continue  # its queue is full, or the event is too long for it


def listen(listeners: Path, stop: Event) -> Iterator[ContainerEvent]:
    """Yield what is told, until `stop` is set."""
    path = listeners / secrets.token_hex(8)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        with _short(path) as address:
            receiver.bind(address)
        receiver.settimeout(_LOOK_SEC)
        try:
            while not stop.is_set():
                with suppress(TimeoutError):
                    yield _parse(receiver.recv(_MAX_BYTES))
        finally:
            path.unlink(missing_ok=True)


def _parse(data: bytes) -> ContainerEvent:
    action, ref, bot_id, at = json.loads(data)
    return ContainerEvent(ContainerAction(action), bot_id, ref, datetime.fromisoformat(at))


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """The address of a socket, however long its path: Linux takes 108 bytes."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
