"""Ending a container as its launch was promised: SIGTERM when it can hear it, grace, SIGKILL."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from the0.core.engine import Engine
from the0.core.launcher import Launcher
from the0.launches import LaunchStore
from the0.models import Container
from the0.pool import BlockingPool

HEARS_WITHIN_SEC = 10.0
HEARS_POLL_SEC = 0.1


@dataclass(frozen=True)
class Stopping:
    """Stops containers of one installation."""

    engine: Engine
    files: BlockingPool
    launches: LaunchStore
    launcher: Launcher

    async def stop(self, container: Container) -> None:
        """Returns when it has ended. Raises Unavailable when that is not known."""
        timeout = await self._timeout(container)
        await self._until_it_hears(container)
        await self.engine.stop(container.ref, timeout)

    async def _until_it_hears(self, container: Container) -> None:
        """Process 1 ignores a SIGTERM that comes before it has a handler, and would be killed only
        after the whole grace. Its first report tells that it has one."""
        until = (container.created_at or datetime.now(UTC)) + timedelta(seconds=HEARS_WITHIN_SEC)
        while await self.files.call(self.launches.status, container.launch) is None:
            if datetime.now(UTC) > until:
                return
            await asyncio.sleep(HEARS_POLL_SEC)

    async def _timeout(self, container: Container) -> float:
        """By the launch that runs, not by what the document says today."""
        launch = await self.files.call(self.launches.read, container.launch)
        grace = launch.document.get("stop_grace_sec", 0.0) if launch else 0.0
        return self.launcher.stop_timeout(float(grace))
