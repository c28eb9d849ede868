"""Keeps the processes of `the0 local` running: ``python -m the0.local.supervisor ROOT``.

Runs in a session of its own, holds `run/supervisor.lock` while it lives, runs what
`run/wanted.json` names (read again at SIGHUP), tells `run/status.json` what became of it, and
stops everything in the reverse order of starting at SIGTERM.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from the0.errors import Conflict
from the0.files import write_atomic
from the0.local.config import load
from the0.local.paths import LocalPaths
from the0.local.processes import ORDER, SERVERS, process_spec
from the0.local.rotation import rotate
from the0.local.ward import Ward

TICK_SEC = 30.0

log = logging.getLogger("the0.local.supervisor")


def changes(running: Sequence[str], wanted: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """What to stop, and then what to start, each in its order."""
    stop = [name for name in reversed(ORDER) if name in running and name not in wanted]
    start = [name for name in ORDER if name in wanted and name not in running]
    return stop, start


class Supervisor:
    """Runs until :meth:`ask_to_end`; see the module's own words."""

    def __init__(self, paths: LocalPaths) -> None:
        self._paths = paths
        self._wards: dict[str, Ward] = {}
        self._wake = asyncio.Event()
        self._ending = False

    async def run(self) -> None:
        try:
            while not self._ending:
                await self._apply(self._wanted())
                await self._wait()
                self._rotate()
        finally:
            await self._apply(())

    def ask_to_end(self) -> None:
        self._ending = True
        self._wake.set()

    def ask_to_look(self) -> None:
        """Read again what is wanted."""
        self._wake.set()

    async def _apply(self, wanted: Sequence[str]) -> None:
        stop, start = changes(list(self._wards), wanted)
        for name in stop:
            log.info("stopping %s", name)
            await self._wards.pop(name).stop()
            self._tell()
        await self._start([name for name in start if name in SERVERS])
        if not self._ending:
            await self._start([name for name in start if name not in SERVERS])

    async def _start(self, names: Sequence[str]) -> None:
        """Start these together; return once each is ready or failed once, or something is asked."""
        config = load(self._paths.config)  # a start may have changed where the host listens
        for name in names:
            log.info("starting %s", name)
            spec = process_spec(name, self._paths, config)
            self._wards[name] = Ward(spec, self._paths.log(name), self._tell)
        ready = asyncio.create_task(self._until_ready(names), name="ready")
        asked = asyncio.create_task(self._until_asked(), name="asked")
        await asyncio.wait({ready, asked}, return_when=asyncio.FIRST_COMPLETED)
        for waiting in (ready, asked):
            waiting.cancel()
        await asyncio.gather(ready, asked, return_exceptions=True)

    async def _until_ready(self, names: Sequence[str]) -> None:
        await asyncio.gather(*(self._wards[name].until_ready() for name in names))

    async def _until_asked(self) -> None:
        await self._wake.wait()

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TICK_SEC):
                await self._wake.wait()
        self._wake.clear()

    def _wanted(self) -> Sequence[str]:
        names: list[str] = json.loads(self._paths.wanted.read_text())
        return names

    def _rotate(self) -> None:
        for name in (*ORDER, "supervisor"):
            rotate(self._paths.log(name))

    def _tell(self) -> None:
        processes = [ward.status.as_json() for ward in self._wards.values()]
        status = {"supervisor": os.getpid(), "processes": processes}
        write_atomic(self._paths.status, json.dumps(status, indent=2).encode())


@contextmanager
def holding(lock: Path) -> Iterator[None]:
    """Hold `lock` (flock), with our process id in it. Conflict when another supervisor does."""
    with lock.open("a+") as file:
        _acquire(file, lock)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _acquire(file: IO[str], lock: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Conflict(f"Another supervisor runs for {lock.parent.parent}.") from error


async def _main(paths: LocalPaths) -> None:
    supervisor = Supervisor(paths)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, supervisor.ask_to_look)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.ask_to_end)
    await supervisor.run()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    paths = LocalPaths(Path(sys.argv[1]))
    with holding(paths.lock):
        asyncio.run(_main(paths))


if __name__ == "__main__":
    main()
