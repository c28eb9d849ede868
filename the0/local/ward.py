"""One supervised process: started, watched, restarted with growing delays, ended in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from the0.local.processes import ProcessSpec
from the0.local.restarts import Restarts

READY_POLL_SEC = 0.1
CANNOT_START = 127
"""Exit code of a process that could not even be started, as a shell would give it."""


class WardState(StrEnum):
    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"  # ended unasked; the next start is delayed
    STOPPED = "stopped"


@dataclass(frozen=True)
class WardStatus:
    """What the status file says of one process. `exit_code` is that of the last run that ended."""

    name: str
    state: WardState
    pid: int | None
    since: str
    restarts: int
    failures_in_a_row: int
    exit_code: int | None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> WardStatus:
        return cls(**{**data, "state": WardState(data["state"])})

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Ward:
    """Keeps `spec` running until :meth:`stop`; calls `changed` after each change of its status."""

    def __init__(self, spec: ProcessSpec, log: Path, changed: Callable[[], None]) -> None:
        self._spec = spec
        self._log = log
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._restarts = Restarts()
        self._exit_code: int | None = None
        self._first_outcome = asyncio.Event()
        self._set(WardState.STARTING)
        self._task = asyncio.create_task(self._keep(), name=f"ward-{spec.name}")

    @property
    def status(self) -> WardStatus:
        return WardStatus(
            name=self._spec.name,
            state=self._state,
            pid=self._process.pid if self._process else None,
            since=self._since,
            restarts=self._restarts.total,
            failures_in_a_row=self._restarts.in_a_row,
            exit_code=self._exit_code,
        )

    async def until_ready(self) -> None:
        """Return once it is ready for the first time, or has ended once."""
        await self._first_outcome.wait()

    async def stop(self) -> None:
        """SIGTERM, wait for its grace period, SIGKILL; returns when it has ended."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        if self._process is not None:
            await self._end(self._process)
        self._process = None
        self._set(WardState.STOPPED)

    async def _keep(self) -> None:
        while True:
            began = time.monotonic()
            self._exit_code = await self._run_once()
            self._process = None
            self._restarts = self._restarts.after_exit(time.monotonic() - began)
            self._set(WardState.WAITING)
            await asyncio.sleep(self._restarts.delay_sec)
            self._set(WardState.STARTING)

    async def _run_once(self) -> int:
        try:
            self._process = process = await self._spawn()
        except OSError as error:
            with self._log.open("a") as log:
                log.write(f"cannot be started: {error}\n")
            return CANNOT_START
        self._set(WardState.STARTING)
        probe = asyncio.create_task(self._probe(), name=f"ready-{self._spec.name}")
        try:
            return await process.wait()
        finally:
            probe.cancel()
            await asyncio.gather(probe, return_exceptions=True)

    async def _spawn(self) -> asyncio.subprocess.Process:
        with self._log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                # The kernel ends it with us, even if we are killed: nothing is left behind.
                *("setpriv", "--pdeathsig", self._spec.orphaned, "--", *self._spec.command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._spec.env},
                start_new_session=True,
            )

    async def _probe(self) -> None:
        while not await asyncio.to_thread(self._spec.ready):  # noqa: ASYNC110 - not ours to signal
            await asyncio.sleep(READY_POLL_SEC)
        self._set(WardState.READY)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        _signal_group(process.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(self._spec.grace_sec):
                self._exit_code = await process.wait()
        except TimeoutError:
            _signal_group(process.pid, signal.SIGKILL)
            self._exit_code = await process.wait()

    def _set(self, state: WardState) -> None:
        self._state = state
        if state is not WardState.STARTING:
            self._first_outcome.set()
        self._since = datetime.now(UTC).isoformat(timespec="seconds")
        self._changed()


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)
