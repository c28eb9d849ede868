"""Real MongoDB-protocol, S3 and NATS servers for tests, each a process on a free loopback port.

::

    with mongo_server(tmp_path / "mongo") as mongo:
        client = MongoClient(mongo.url)
        mongo.kill()      # kill -9, as a power cut would
        mongo.restart()   # the same port, the same data

They are the programs of the extra ``the0[local]``, started as separate processes.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

LOOPBACK = "127.0.0.1"
START_TIMEOUT_SEC = 60.0
STOP_TIMEOUT_SEC = 10.0

AnyServer = TypeVar("AnyServer", bound="Server")


@dataclass
class Server:
    """One server process with its data below `dir`; its output is in `dir`/server.log.

    `url` is what clients connect to. The process keeps its port and data across :meth:`restart`.
    """

    name: str
    url: str
    port: int
    dir: Path
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; raises RuntimeError when it is not running."""
        if self.process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self.process.pid

    def start(self) -> None:
        """Start it and return once its port answers; RuntimeError with its output otherwise."""
        self.dir.mkdir(parents=True, exist_ok=True)
        with (self.dir / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.env},
                start_new_session=True,
            )
        self._wait_until_listening()

    def kill(self) -> None:
        """kill -9 of its whole process group, as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end (thawing it first); kill -9 when it does not."""
        if self.process is not None:
            self.thaw()
            self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers, from the return on."""
        _signal(self.pid, signal.SIGSTOP)
        # Its threads stop one after another; one that still runs would answer once more.
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """SIGCONT: let it go on after :meth:`freeze`."""
        _signal(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        """Stop it if it runs, and start it on the same port with the same data."""
        self.stop()
        self.start()

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        _signal(self.process.pid, how)
        try:
            self.process.wait(STOP_TIMEOUT_SEC)
        except subprocess.TimeoutExpired:
            _signal(self.process.pid, signal.SIGKILL)
            self.process.wait(STOP_TIMEOUT_SEC)
        self.process = None

    def _wait_until_listening(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SEC
        while time.monotonic() < deadline and self.process and self.process.poll() is None:
            try:
                socket.create_connection((LOOPBACK, self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        output = (self.dir / "server.log").read_text(errors="replace")[-2000:]
        self.kill()
        raise RuntimeError(f"{self.name} did not start listening on port {self.port}:\n{output}")


@dataclass
class S3Server(Server):
    """`endpoint` is host:port without a scheme."""

    endpoint: str = ""
    access_key: str = ""
    secret_key: str = ""


def free_port() -> int:
    """A loopback TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def mongo_server(dir: Path, *, port: int | None = None) -> Iterator[Server]:
    """SecantusDB, journaled at every commit; `url` is a MongoDB connection string."""
    port = port or free_port()
    command = [
        *(_program("secantusd-py"), "--host", LOOPBACK, "--port", str(port)),
        *("--storage-path", str(dir / "data"), "--sync-on-commit", "--cache-size", "64M"),
    ]
    url = f"mongodb://{LOOPBACK}:{port}/?directConnection=true"
    yield from _running(Server("secantusd", url, port, dir, command))


@contextmanager
def s3_server(dir: Path, *, port: int | None = None) -> Iterator[S3Server]:
    """nanio with random credentials; `url` has the scheme, `endpoint` has not."""
    port = port or free_port()
    access_key, secret_key = "test-access", secrets.token_hex(16)
    command = [
        *(sys.executable, "-m", "the0.local.s3_server", str(dir / "data")),
        *(_program("nanio"), "serve", "--host", LOOPBACK, "--port", str(port)),
        *("--data-dir", str(dir / "data"), "--no-access-log"),
    ]
    yield from _running(
        S3Server(
            name="nanio",
            url=f"http://{LOOPBACK}:{port}",
            port=port,
            dir=dir,
            command=command,
            env={"NANIO_ACCESS_KEY": access_key, "NANIO_SECRET_KEY": secret_key},
            endpoint=f"{LOOPBACK}:{port}",
            access_key=access_key,
            secret_key=secret_key,
        )
    )


@contextmanager
def nats_server(
    dir: Path,
    *,
    jetstream: bool = True,
    port: int | None = None,
) -> Iterator[Server]:
    """nats-server with a random password in `url`, with JetStream unless told otherwise."""
    port = port or free_port()
    password = secrets.token_hex(8)
    command = [
        *(_program("nats-server"), "--addr", LOOPBACK, "--port", str(port)),
        *("--user", "test", "--pass", password),
        *(("--jetstream", "--store_dir", str(dir / "data")) if jetstream else ()),
    ]
    url = f"nats://test:{password}@{LOOPBACK}:{port}"
    yield from _running(Server("nats-server", url, port, dir, command))


def _running(server: AnyServer) -> Iterator[AnyServer]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _signal(group: int, how: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it ended by itself
        os.killpg(group, how)


def _program(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is not installed: pip install 'the0[local]'")
    return found
