"""MongoDB, S3 and NATS in containers, through testcontainers.

Where a registry answers these are the public images `mongo:7`, `minio/minio` and `nats:2`.
Elsewhere one image is built from the same programs that `the0 local start` runs, with the same
ports and credentials. Containers carry the test session's process id, so that a session that was
killed is cleaned up after by the next one.
"""

from __future__ import annotations

import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import docker
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from tests.support.services_image import OWN_DISTRIBUTIONS, OWN_REPOSITORY, own_image

if TYPE_CHECKING:
    from docker.models.containers import Container

SESSION_LABEL = "the0.test.session"
REGISTRY = "https://registry-1.docker.io/v2/"
REGISTRY_TIMEOUT_SEC = 3.0
READY_TIMEOUT_SEC = 120.0

ACCESS_KEY = "the0-test"
SECRET_KEY = "the0-test-secret"


@dataclass(frozen=True)
class Offer:
    """One way to run a service: an image, its command, and the port inside the container."""

    image: str
    command: str
    port: int
    env: dict[str, str] = field(default_factory=dict)


PUBLIC = {
    "mongo": Offer("mongo:7", "", 27017),
    "s3": Offer(
        "minio/minio",
        "server /data",
        9000,
        {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY},
    ),
    "nats": Offer("nats:2", "-js", 4222),
}
OWN = {
    "mongo": Offer(
        OWN_REPOSITORY,
        "python3 /opt/site/bin/secantusd-py --host 0.0.0.0 --port 27017"
        " --storage-path /data --sync-on-commit",
        27017,
    ),
    "s3": Offer(
        OWN_REPOSITORY,
        "python3 /opt/site/bin/nanio serve --host 0.0.0.0 --port 9000 --data-dir /data",
        9000,
        {"NANIO_ACCESS_KEY": ACCESS_KEY, "NANIO_SECRET_KEY": SECRET_KEY},
    ),
    "nats": Offer(OWN_REPOSITORY, "/opt/site/bin/nats-server -js -sd /data", 4222),
}


@dataclass
class Service:
    """A running service. `address` is host:port on loopback and survives a restart."""

    name: str
    port: int
    container: Container
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """What its client takes: a mongodb://, http:// or nats:// address."""
        scheme = {"mongo": "mongodb", "s3": "http", "nats": "nats"}[self.name]
        return f"{scheme}://{self.address}" + ("/?directConnection=true" * (self.name == "mongo"))

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self.container.kill()
        self.container.wait(timeout=30)

    def start(self) -> None:
        """Start it again with its data, and wait until it answers."""
        self.container.start()
        self.wait_ready()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        self.container.pause()

    def unpause(self) -> None:
        self.container.unpause()

    def revive(self) -> None:
        """Whatever a test did to it: running and answering again."""
        self.container.reload()
        if self.container.status == "paused":
            self.unpause()
        self.start()

    def wait_ready(self) -> None:
        """Return once it speaks its protocol; RuntimeError with its log when it never does."""
        deadline = time.monotonic() + READY_TIMEOUT_SEC
        while time.monotonic() < deadline:
            if answers(self.name, self.port):
                return
            time.sleep(0.1)
        log = self.container.logs(tail=50).decode(errors="replace")
        raise RuntimeError(f"{self.name} does not answer on port {self.port}:\n{log}")


def answers(name: str, port: int) -> bool:
    """Whether the server itself answers; Docker's port proxy alone accepts connections early."""
    request = {"mongo": _MONGO_HELLO, "s3": b"GET / HTTP/1.0\r\n\r\n", "nats": b""}[name]
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(request)
            return len(connection.recv(1)) == 1
    except OSError:
        return False


# OP_MSG {hello: 1, $db: "admin"}: header, flags, section kind, document.
_MONGO_DOCUMENT = (
    b"\x1f\x00\x00\x00\x10hello\x00\x01\x00\x00\x00\x02$db\x00\x06\x00\x00\x00admin\x00\x00"
)
_MONGO_HELLO = (
    (21 + len(_MONGO_DOCUMENT)).to_bytes(4, "little")
    + b"\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00"
    + _MONGO_DOCUMENT
)


@cache
def registry_answers() -> bool:
    """Asked once a session, with a short time-out; 401 is Docker Hub's way to say yes."""
    try:
        urllib.request.urlopen(REGISTRY, timeout=REGISTRY_TIMEOUT_SEC).close()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code == 401
    except OSError:
        return False
    return True


def describe() -> str:
    """One line for the session's header."""
    if registry_answers():
        return "services in containers: " + ", ".join(offer.image for offer in PUBLIC.values())
    programs = ", ".join(f"{name} {version(name)}" for name in OWN_DISTRIBUTIONS)
    return f"services in containers: {programs} (no registry answers)"


@contextmanager
def running(name: str) -> Iterator[Service]:
    """Run `mongo`, `s3` or `nats` until the end of the block."""
    offer = PUBLIC[name] if registry_answers() else OWN[name]
    image = offer.image if offer.image != OWN_REPOSITORY else own_image()
    testcontainers_config.ryuk_disabled = True
    port = _free_port()
    container = DockerContainer(image).with_command(offer.command)
    container.ports = {f"{offer.port}/tcp": ("127.0.0.1", port)}
    for key, value in offer.env.items():
        container.with_env(key, value)
    container.with_kwargs(labels={SESSION_LABEL: str(os.getpid())})
    with container:
        service = Service(name, port, container.get_wrapped_container())
        service.wait_ready()
        yield service


def remove_leftovers(client: docker.DockerClient, *, of_this_session: bool = False) -> None:
    """Remove containers of test sessions that are gone, and at the end those of this one."""
    for container in client.containers.list(all=True, filters={"label": SESSION_LABEL}):
        pid = int(container.labels[SESSION_LABEL])
        ours = pid == os.getpid()
        if (ours and of_this_session) or not Path(f"/proc/{pid}").exists():
            container.remove(force=True, v=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
