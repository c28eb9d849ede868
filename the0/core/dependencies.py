"""Whether what the host depends on answers, asked every few seconds, each by name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from the0.errors import The0Error, Unavailable

PROBE_EVERY_SEC = 5.0
PROBE_TIMEOUT_SEC = 5.0

Probe = Callable[[], Awaitable[None]]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Standing:
    """How a dependency stands: `fault` is empty while it answers."""

    fault: str
    since: datetime


class Dependencies:
    """`probes` by name; each raises The0Error when its dependency does not do its work.
    `on_change` is called whenever one fails or answers again."""

    def __init__(self, probes: Mapping[str, Probe], on_change: Callable[[], None]) -> None:
        self._probes = probes
        self._on_change = on_change
        self._standings: dict[str, Standing] = {}

    def fault(self, name: str) -> str:
        """Why `name` cannot be used; empty while it answers. Unasked ones are not in use."""
        if name not in self._probes:
            return ""
        found = self._standings.get(name)
        return found.fault if found else "not asked yet"

    def all(self) -> dict[str, Standing]:
        unasked = Standing("not asked yet", datetime.now(UTC))
        return {name: self._standings.get(name, unasked) for name in self._probes}

    async def run(self) -> None:
        """Ask, for ever; each one by itself, so that a slow one keeps no other waiting."""
        async with asyncio.TaskGroup() as group:
            for name, probe in self._probes.items():
                group.create_task(self._follow(name, probe), name=f"probe of {name}")

    async def _follow(self, name: str, probe: Probe) -> None:
        while True:
            if self._note(name, await self._ask(probe)):
                self._on_change()
            await asyncio.sleep(PROBE_EVERY_SEC)

    async def _ask(self, probe: Probe) -> str:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_SEC):
                await probe()
        except TimeoutError:
            return Unavailable(f"no answer within {PROBE_TIMEOUT_SEC:g} s").message
        except The0Error as error:
            return error.message
        return ""

    def _note(self, name: str, fault: str) -> bool:
        """Take in an answer; whether it is another standing than before."""
        before = self._standings.get(name)
        changed = before is None or bool(before.fault) != bool(fault)
        since = before.since if before and not changed else datetime.now(UTC)
        self._standings[name] = Standing(fault, since)
        if changed and (fault or before):
            level = logging.WARNING if fault else logging.INFO
            log.log(level, "%s %s", name, f"does not answer: {fault}" if fault else "answers again")
        return changed
