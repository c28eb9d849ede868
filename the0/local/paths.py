"""Where `the0 local` keeps its things: one folder, readable by its owner alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from the0.errors import InvalidInput

ROOT_VARIABLE = "THE0_LOCAL_DIR"


@dataclass(frozen=True)
class LocalPaths:
    """The files below `root` (``~/.the0/local`` unless THE0_LOCAL_DIR says otherwise)."""

    root: Path

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> LocalPaths:
        given = environ.get(ROOT_VARIABLE)
        return cls(Path(given).absolute() if given else Path.home() / ".the0" / "local")

    @property
    def config(self) -> Path:
        """What was generated once: ports and credentials."""
        return self.root / "local.json"

    @property
    def settings(self) -> Path:
        """The host's settings file, generated at each start."""
        return self.root / "settings.toml"

    @property
    def client(self) -> Path:
        """Address and token for the command line."""
        return self.root / "client.json"

    @property
    def state_dir(self) -> Path:
        """The host's state directory."""
        return self.root / "host"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def lock(self) -> Path:
        """Held by the supervisor while it lives."""
        return self.run / "supervisor.lock"

    @property
    def installation(self) -> Path:
        """The id that labels everything in the container engine."""
        return self.root / "installation"

    @property
    def start_lock(self) -> Path:
        """Held by whoever starts or stops, so that two never do at once."""
        return self.run / "start.lock"

    @property
    def wanted(self) -> Path:
        """Names of the processes that the supervisor shall run."""
        return self.run / "wanted.json"

    @property
    def status(self) -> Path:
        """What the supervisor last said about its processes."""
        return self.run / "status.json"

    def data(self, server: str) -> Path:
        return self.root / "data" / server

    def log(self, process: str) -> Path:
        return self.logs / f"{process}.log"

    def make(self) -> None:
        """Create the folders, closed to everybody else. Raises InvalidInput where that fails."""
        try:
            for folder in (self.root, self.logs, self.run, self.root / "data"):
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o700)
        except OSError as error:
            raise InvalidInput(
                f"{self.root} cannot be made ({error.filename}: {error.strerror}). "
                f"Set {ROOT_VARIABLE} to a folder of this user's."
            ) from error
