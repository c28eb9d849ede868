"""What every part of the agent works on."""

from __future__ import annotations

from typing import NamedTuple

from the0.agent.client import Gateway
from the0.agent.launch import Launch
from the0.agent.paths import Paths


class Job(NamedTuple):
    """One launch, in one container, with one gateway."""

    paths: Paths
    gateway: Gateway
    launch: Launch

    def until(self, deadline: float) -> Job:
        """The same job, whose requests all end by `deadline` (of :func:`time.monotonic`)."""
        return self._replace(gateway=self.gateway.until(deadline))
