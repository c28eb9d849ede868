"""The parts of one process: started together, stopped one after the other, each owned."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from the0.errors import The0Error

log = logging.getLogger("the0.host")


@dataclass(frozen=True)
class Part:
    """`run(stop)` works until `stop` is set; it is given `end_sec` to end after that."""

    name: str
    run: Callable[[asyncio.Event], Awaitable[None]]
    end_sec: float = 30.0


async def run_parts(parts: Sequence[Part], stop: asyncio.Event) -> None:
    """Run all of `parts` until `stop` is set or one of them ends unasked; then stop them in
    their order, the next one only once the one before has ended.

    Raises what a part ended of.
    """
    stops = [asyncio.Event() for _ in parts]
    tasks = [
        asyncio.ensure_future(_named(part, event)) for part, event in zip(parts, stops, strict=True)
    ]
    asked = asyncio.create_task(stop.wait(), name="asked to stop")
    try:
        await asyncio.wait({asked, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for part, event, task in zip(parts, stops, tasks, strict=True):
            event.set()
            await _ended(part, task)
    finally:
        asked.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(asked, *tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()):
            raise error


async def _named(part: Part, stop: asyncio.Event) -> None:
    await part.run(stop)
    if not stop.is_set():
        raise The0Error(f"the {part.name} ended unasked")


async def _ended(part: Part, task: asyncio.Future[None]) -> None:
    _, late = await asyncio.wait({task}, timeout=part.end_sec)
    if late:
        log.error("the %s did not end within %g s; it is cut off", part.name, part.end_sec)
