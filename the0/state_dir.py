"""The state directory: the one place on the host's disk that the platform writes to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from the0.errors import InvalidSettings

LONGEST_SOCKET_PATH = 107
"""Bytes that Linux allows for the path of a Unix socket."""


@dataclass(frozen=True)
class StateDir:
    """Where things lie below `root`."""

    root: Path

    @property
    def launches(self) -> Path:
        return self.root / "launches"

    @property
    def gateway_dir(self) -> Path:
        """Mounted read-only into every container."""
        return self.root / "gateway"

    @property
    def gateway_socket(self) -> Path:
        return self.gateway_dir / "gateway.sock"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    @property
    def code_cache(self) -> Path:
        return self.root / "code"

    @property
    def state_cache(self) -> Path:
        return self.root / "state-cache"

    @property
    def runner_lock(self) -> Path:
        return self.root / "runner.lock"

    @property
    def scheduler_lock(self) -> Path:
        return self.run / "scheduler.lock"

    @property
    def gateway_lock(self) -> Path:
        return self.root / "gateway.lock"

    @property
    def query_lock(self) -> Path:
        """Held by the process that has the containers of queries."""
        return self.root / "query.lock"

    @property
    def token_file(self) -> Path:
        return self.root / "api.token"

    def role_socket(self, role: str) -> Path:
        """Where a role serves health, status and metrics."""
        return self.run / f"{role}.sock"

    @property
    def fits_sockets(self) -> bool:
        """Whether the paths of its Unix sockets are short enough for Linux."""
        longest = max(self.gateway_socket, self.role_socket("scheduler"), key=lambda p: len(str(p)))
        return len(os.fsencode(longest)) <= LONGEST_SOCKET_PATH

    @property
    def _own(self) -> Sequence[Path]:
        caches = (self.code_cache, self.state_cache)
        return (self.root, self.launches, self.run, self.spool, *caches)

    def make(self) -> None:
        """Create what is missing, for its owner alone except the directory that containers see.

        Raises InvalidSettings where this user may not, or something else is in the way.
        """
        try:
            for path in self._own:
                path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.gateway_dir.mkdir(exist_ok=True)
            self.gateway_dir.chmod(0o755)
        except OSError as error:
            raise InvalidSettings(
                f"The state directory {self.root} cannot be made ({error.filename}: "
                f"{error.strerror}). Set state_dir to a folder of this user's."
            ) from error


def default_root(instance: str) -> Path:
    """`/var/lib/the0/<instance>` for root, `~/.the0/<instance>` for anyone else."""
    base = Path("/var/lib/the0") if os.geteuid() == 0 else Path.home() / ".the0"
    return base / instance
