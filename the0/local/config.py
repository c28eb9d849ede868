"""What `the0 local` generates once and remembers: ports and credentials."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from the0.errors import InvalidInput
from the0.files import write_atomic
from the0.settings import ApiSettings

LOOPBACK = "127.0.0.1"
API_PORT = 9477
USER = "the0"


@dataclass(frozen=True)
class LocalConfig:
    """Ports on loopback and credentials of the embedded servers and of the control API."""

    instance: str
    mongo_port: int
    s3_port: int
    nats_port: int
    api_port: int
    mongo_password: str
    s3_secret_key: str
    nats_password: str
    api_token: str

    def port(self, process: str) -> int:
        """Where a process listens: one of the servers, or the host with its API."""
        ports = {"mongo": self.mongo_port, "s3": self.s3_port, "nats": self.nats_port}
        return ports.get(process, self.api_port)

    @property
    def mongo_uri(self) -> str:
        where = f"{LOOPBACK}:{self.mongo_port}"
        return f"mongodb://{USER}:{self.mongo_password}@{where}/?directConnection=true"

    @property
    def s3_endpoint(self) -> str:
        return f"{LOOPBACK}:{self.s3_port}"

    @property
    def nats_url(self) -> str:
        return f"nats://{USER}:{self.nats_password}@{LOOPBACK}:{self.nats_port}"

    @property
    def api_url(self) -> str:
        return f"http://{LOOPBACK}:{self.api_port}"


def load_or_create(path: Path, instance: str) -> LocalConfig:
    """The remembered configuration, or a new one written to `path` (0600).

    `instance` names the installation when it is made; InvalidInput when another name was
    remembered, or the file is broken.
    """
    if not path.exists():
        return remember(path, _generate(instance))
    config = load(path)
    if config.instance != instance:
        raise InvalidInput(
            f"{path.parent} belongs to the installation {config.instance!r}, not {instance!r}. "
            f"Set THE0_INSTANCE={config.instance}, or another THE0_LOCAL_DIR."
        )
    return config


def with_own_api(config: LocalConfig, own: ApiSettings) -> LocalConfig:
    """`config` with the port and the token that the user's `own` settings name for the API."""
    port = own.port if own.port != ApiSettings().port else config.api_port
    return replace(config, api_port=port, api_token=own.token or config.api_token)


def load(path: Path) -> LocalConfig:
    """Raises InvalidInput when the file is missing or broken."""
    try:
        return LocalConfig(**json.loads(path.read_text()))
    except FileNotFoundError as error:
        raise InvalidInput(f"{path} does not exist; run `the0 local start` first.") from error
    except (ValueError, TypeError) as error:
        raise InvalidInput(
            f"{path} is broken ({error}). It holds the credentials of the data beside it: "
            "restore it from a backup."
        ) from error


def remember(path: Path, config: LocalConfig) -> LocalConfig:
    """Write it to `path`, readable by its owner alone."""
    write_atomic(path, json.dumps(asdict(config), indent=2).encode())
    return config


def _generate(instance: str) -> LocalConfig:
    ports = choose_ports(API_PORT, is_free)
    return LocalConfig(
        instance,
        *ports,
        mongo_password=secrets.token_hex(16),
        s3_secret_key=secrets.token_hex(20),
        nats_password=secrets.token_hex(16),
        api_token=secrets.token_urlsafe(32),
    )


def choose_ports(api_port: int, free: Callable[[int], bool]) -> tuple[int, int, int, int]:
    """Ports for mongo, s3, nats and the API: three that nobody uses, and `api_port` if free."""
    probes = [socket.socket() for _ in range(4)]
    try:
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        mongo, s3, nats, other = (int(probe.getsockname()[1]) for probe in probes)
    finally:
        for probe in probes:
            probe.close()
    return mongo, s3, nats, api_port if free(api_port) else other


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
