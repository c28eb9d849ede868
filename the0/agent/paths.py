"""Where everything is inside a container."""

from __future__ import annotations

import os
from typing import NamedTuple


class Paths(NamedTuple):
    """The folders and files of a container; `root` is another folder only in tests."""

    root: str = "/"

    @classmethod
    def of_environment(cls) -> Paths:
        return cls(os.environ.get("THE0_ROOT", "/"))

    def _below(self, path: str) -> str:
        return os.path.join(self.root, path)

    @property
    def bot(self) -> str:
        return self._below("bot")

    @property
    def state(self) -> str:
        return self._below("state")

    @property
    def sdk_state(self) -> str:
        return self._below("state/.the0-state")

    @property
    def var(self) -> str:
        """The volume of the agent's own files: log, marks, spooled archives."""
        return self._below("var/the0")

    @property
    def logs(self) -> str:
        return self._below("var/the0/logs")

    @property
    def query(self) -> str:
        return self._below("query")

    @property
    def tmp(self) -> str:
        return self._below("tmp")

    @property
    def socket(self) -> str:
        return self._below("run/the0/gateway.sock")
