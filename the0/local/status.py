"""`the0 local status`: what runs of it, and where things lie."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from the0.local import supervision
from the0.local.client import find_client
from the0.local.paths import LocalPaths
from the0.local.processes import HOST
from the0.local.ward import WardState, WardStatus


@dataclass(frozen=True)
class LocalStatus:
    """`running` is true when the host and all servers that it was started with are ready."""

    running: bool
    url: str | None
    processes: Sequence[WardStatus]
    data: str
    logs: str


def local_status(environ: Mapping[str, str] = os.environ) -> LocalStatus:
    """As the supervisor tells it; nothing runs where there is no supervisor."""
    paths = LocalPaths.of(environ)
    seen = supervision.look(paths)
    client = find_client(environ)
    ready = [status.state is WardState.READY for status in seen.processes.values()]
    return LocalStatus(
        running=seen.runs(HOST) and all(ready),
        url=client.url if client else None,
        processes=list(seen.processes.values()),
        data=str(paths.root / "data"),
        logs=str(paths.logs),
    )
