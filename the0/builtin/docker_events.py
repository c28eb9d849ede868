"""The engine's event stream, ended within a second from outside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from docker import APIClient

from the0.builtin import docker_names as names
from the0.builtin.docker_containers import EVENTS, event_of
from the0.builtin.docker_errors import translated
from the0.errors import Unavailable
from the0.models import ContainerEvent

_LOOK_SEC = 0.3


def follow(client: APIClient, installation: str, stop: threading.Event) -> Iterator[ContainerEvent]:
    """Yield what happens to this installation's containers, until `stop` is set.

    Raises :class:`~the0.errors.Unavailable` when the stream ends otherwise.
    """
    filters = {
        "type": "container",
        "event": list(EVENTS),
        "label": f"{names.INSTALLATION}={installation}",
    }
    with translated("follow events"):
        stream = client.events(filters=filters, decode=True)
    over = threading.Event()
    closer = threading.Thread(
        target=_close_when, args=(stream, stop, over), name="docker-events-closer", daemon=True
    )
    closer.start()
    try:
        with translated("follow events"):
            yield from filter(None, map(event_of, stream))
    except Unavailable:
        if not stop.is_set():
            raise
    finally:
        over.set()
        closer.join()
    if not stop.is_set():
        raise Unavailable("Docker ended the stream of events; it may be restarting.")


def _close_when(stream: Any, stop: threading.Event, over: threading.Event) -> None:
    # Only another thread can end a read that blocks.
    while not over.is_set() and not stop.wait(_LOOK_SEC):
        pass
    with suppress(AttributeError, OSError):  # a stream that has ended has no socket to close
        stream.close()
