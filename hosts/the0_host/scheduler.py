"""The role `scheduler`: claims the installation and runs the ScheduleService."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry

from the0.core.leader import Leadership
from the0.core.schedule_keeping import Alert
from the0.core.schedule_service import ScheduleService
from the0.errors import Unavailable
from the0.models import JSON
from the0_host.claiming import Claiming
from the0_host.role_app import Command, named, named_or_all, serve_role

STUCK_SEC = 60.0

log = logging.getLogger("the0.host")


class Scheduler:
    """One process's scheduler, one of perhaps several. Only one of them serves the role's socket;
    when it ends another one does."""

    name = "scheduler"

    def __init__(self, claiming: Claiming, alert: Alert, *, tcp: bool) -> None:
        self._claiming = claiming
        self._settings = claiming.settings
        self._alert = alert
        self._tcp = tcp
        self._lock = Leadership(self._settings.state_dir.scheduler_lock)
        self._service: ScheduleService | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Serve and work until `stop`. Raises Conflict when this installation is another
        engine's, or when the predecessor's containers still run here."""
        ended = asyncio.Event()
        serving = asyncio.create_task(self._serve(ended), name="scheduler's socket")
        working = asyncio.create_task(self._work(stop), name="scheduler's work")
        try:
            await asyncio.wait({serving, working}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
            await working
        finally:
            ended.set()
            working.cancel()
            await asyncio.gather(serving, working, return_exceptions=True)

    async def _work(self, stop: asyncio.Event) -> None:
        site = await self._claiming.site(stop)
        if site is None:
            return
        plugin = self._claiming.scheduler()
        try:
            self._service = ScheduleService(site, plugin, self._alert, lambda: self._lock.held)
            await self._service.run(stop)
        finally:
            plugin.close()
            site.executor.close()

    async def _serve(self, ended: asyncio.Event) -> None:
        acquiring = asyncio.create_task(self._lock.acquire(), name="scheduler's lock")
        ending = asyncio.create_task(ended.wait(), name="scheduler's end")
        try:
            await asyncio.wait({acquiring, ending}, return_when=asyncio.FIRST_COMPLETED)
            if self._lock.held:
                async with serve_role(self._settings, self, self.commands, tcp=self._tcp):
                    await ending
        finally:
            acquiring.cancel()
            ending.cancel()
            self._lock.release()

    # --- what it tells of itself ---

    @property
    def registry(self) -> CollectorRegistry:
        return self._service.metrics.registry if self._service else CollectorRegistry()

    def health_fault(self) -> str:
        service = self._service
        silent = service.alive_sec if service else time.monotonic() - self._claiming.alive_at
        return f"the timers stand still since {silent:.0f} s" if silent > STUCK_SEC else ""

    def readiness(self) -> Mapping[str, str]:
        if self._service is None:
            return {"start": self._claiming.waiting_for}
        return {name: one.fault for name, one in self._service.standings.items()}

    def status(self) -> Mapping[str, Any]:
        about = {
            "instance": self._settings.general.instance,
            "installation": self._claiming.installation,
        }
        return {**about, **self._running().status()}

    # --- what it is told ---

    @property
    def commands(self) -> Mapping[str, Command]:
        return {"wake": self._wake, "run-now": self._run_now, "cancel": self._cancel}

    async def _wake(self, body: JSON) -> Mapping[str, JSON]:
        bot_id = named_or_all(body, "bot_id")
        await self._running().wake(bot_id)
        return {"bot_id": bot_id}

    async def _run_now(self, body: JSON) -> Mapping[str, JSON]:
        run = await self._running().run_now(named(body, "bot_id"))
        return {"bot_id": run.bot_id, "run": run.id}

    async def _cancel(self, body: JSON) -> Mapping[str, JSON]:
        run_id = named(body, "run")
        await self._running().cancel(run_id)
        return {"run": run_id}

    def _running(self) -> ScheduleService:
        if self._service is None:
            waiting_for = self._claiming.waiting_for
            raise Unavailable(f"The scheduler is starting; it waits for: {waiting_for}")
        return self._service
