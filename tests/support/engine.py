"""A Docker engine of a test's own, that may be stopped and started."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import docker

START_SEC = 60.0


@dataclass
class PrivateEngine:
    """A dockerd with its data below `root`, beside the machine's own: without its iptables, and in
    a network namespace of its own, as one without a default bridge removes any `docker0`."""

    root: Path
    options: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.root}/d.sock"

    def start(self) -> None:
        if not self._network.exists():
            self._network.touch()
            subprocess.run(["unshare", f"--net={self._network}", "true"], check=True)
        with (self.root / "dockerd.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *("nsenter", f"--net={self._network}"),
                    "dockerd",
                    f"--data-root={self.root}/data",
                    f"--exec-root={self.root}/exec",
                    f"--pidfile={self.root}/d.pid",
                    f"--host={self.url}",
                    "--bridge=none",
                    "--iptables=false",
                    "--ip6tables=false",
                    *self.options,
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SEC
        while not self._answers():
            assert time.monotonic() < deadline, (self.root / "dockerd.log").read_text()[-2000:]
            time.sleep(0.2)

    @property
    def _network(self) -> Path:
        """The network namespace, mounted here so that it outlives the engine's restarts."""
        return self.root / "net"

    def end(self) -> None:
        """As `systemctl stop docker` does."""
        assert self.process
        self.process.terminate()
        self.process.wait(90)
        self.process = None

    def load(self, tag: str) -> None:
        """Copy an image of the machine's own engine."""
        shared, own = docker.from_env(), docker.DockerClient(self.url)
        with contextlib.closing(shared), contextlib.closing(own):
            own.images.load(shared.images.get(tag).save(named=True))

    def _answers(self) -> bool:
        with contextlib.closing(http.client.HTTPConnection("engine", timeout=2)) as connection:
            connection.sock = socket.socket(socket.AF_UNIX)
            try:
                connection.sock.connect(f"{self.root}/d.sock")
                connection.request("GET", "/_ping")
                return connection.getresponse().status == 200
            except (OSError, http.client.HTTPException):
                return False

    def close(self) -> None:
        if self.process:
            self.end()
        # With live-restore it leaves its own folder mounted.
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in sorted(
            (one for one in mounts if one.startswith(f"{self.root}/")), reverse=True
        ):
            subprocess.run(["umount", "--lazy", mount], check=True)


@contextlib.contextmanager
def private_engine(options: list[str]) -> Iterator[PrivateEngine]:
    root = Path(tempfile.mkdtemp(prefix="eng"))
    engine = PrivateEngine(root, options)
    try:
        engine.start()
        yield engine
    finally:
        engine.close()
        shutil.rmtree(root, ignore_errors=True)
