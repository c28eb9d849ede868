"""A Docker engine of a test's own, to be restarted, killed and frozen.

It shares nothing with the machine's engine but the kernel: own data, own sockets, a network
namespace of its own (one without a default bridge removes any `docker0` that it sees), and a
containerd of its own that outlives it, as a machine's does. It leaves iptables alone, so its bots
have no way out by NAT, which no test here needs.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import requests

from tests.support.runner import eventually

STARTED_WITHIN_SEC = 60.0
ADDRESSES = "base=10.201.0.0/16,size=24"


class PrivateEngine:
    """`url` is its socket; `client` a client of it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._process: subprocess.Popen[bytes] | None = None
        self._network = self._make_network()
        self._containerd = self._start_containerd()
        self.url = f"unix://{root}/docker.sock"
        self.client = docker.DockerClient(self.url, version="1.41", timeout=60)

    def start(self, *, live_restore: bool) -> None:
        """Start it and return once it answers."""
        (self._root / "daemon.json").write_text("{}")
        root = self._root
        command = [
            *("nsenter", f"--net={self._network}"),
            *("dockerd", "--config-file", root / "daemon.json", "--data-root", root / "data"),
            *("--exec-root", root / "exec", "--pidfile", root / "pid", "-H", self.url),
            *("--containerd", root / "containerd.sock"),
            *("--bridge", "none", "--iptables=false", "--ip6tables=false"),
            *("--userland-proxy=false", "--default-address-pool", ADDRESSES),
            *(("--live-restore",) if live_restore else ()),
        ]
        with (root / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        eventually(self._answers, f"dockerd answers:\n{self.log()}", STARTED_WITHIN_SEC)

    def _make_network(self) -> Path:
        """A network namespace, mounted so that it outlives the engine's restarts."""
        network = self._root / "net"
        network.touch()
        subprocess.run(["unshare", f"--net={network}", "true"], check=True)
        return network

    def _start_containerd(self) -> subprocess.Popen[bytes]:
        root = self._root
        config = [
            "version = 2",
            f'root = "{root}/containerd"',
            f'state = "{root}/containerd-state"',
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
            f'grpc = {{address = "{root}/containerd.sock"}}',
        ]
        (root / "containerd.toml").write_text("\n".join(config))
        command = ["containerd", "--config", root / "containerd.toml"]
        with (root / "containerd.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        eventually((root / "containerd.sock").exists, "containerd listens", STARTED_WITHIN_SEC)
        return process

    def log(self) -> str:
        """The end of what it wrote."""
        return (self._root / "log").read_text()[-3000:]

    def stop(self) -> None:
        """Ask it to end and wait; without live-restore it ends its containers first."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def kill(self) -> None:
        """kill -9; its containers run on without it."""
        assert self._process
        self._process.kill()
        self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """SIGSTOP: it still takes connections, and never answers."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def revive(self) -> None:
        """It runs and answers, whatever was done to it."""
        if self._process is None:
            self.start(live_restore=False)
        self.thaw()

    def dismantle(self) -> None:
        """Leave no process, no mount and no file."""
        self.stop()
        self.client.close()
        self._containerd.terminate()
        self._containerd.wait(60)
        for place in self._mounts():
            subprocess.run(["umount", "--lazy", place], check=True)
        shutil.rmtree(self._root)

    def _mounts(self) -> list[str]:
        """The deepest first."""
        places = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        return sorted((one for one in places if one.startswith(str(self._root))), reverse=True)

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, self.log()
        # Docker's client leaves a socket open where none listens.
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(self._root / "docker.sock")):
                return False
        try:
            return bool(self.client.ping())
        except requests.ConnectionError:  # it listens before it is ready
            return False


@contextlib.contextmanager
def private_engine(image: str, source: docker.DockerClient) -> Iterator[PrivateEngine]:
    """A running engine that has `image`, copied from the engine `source`."""
    # Short: sockets lie below it.
    engine = PrivateEngine(Path(tempfile.mkdtemp(prefix="e-")))
    try:
        engine.start(live_restore=False)
        began = time.monotonic()
        engine.client.images.load(b"".join(source.images.get(image).save(named=image)))
        print(f"image copied in {time.monotonic() - began:.1f} s")
        yield engine
    finally:
        engine.dismantle()
