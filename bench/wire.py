"""Events to the host and log lines from it, over NATS, with the moment at which each came."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import nats
from nats.aio.msg import Msg

from bench.site import Site, until


class Wire:
    """A NATS connection in a thread of its own; made by :func:`wire`."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._lines: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        self._client = self._do(nats.connect(url))
        self._do(self._client.subscribe("the0.bot.logs.*", cb=self._take))

    def make_stream(self) -> None:
        """The stream of events that a site has where JetStream is used."""
        subjects = ["the0.bot.created", "the0.bot.updated", "the0.bot.deleted"]
        self._do(self._client.jetstream().add_stream(name="THE0_EVENTS", subjects=subjects))

    def tell(self, action: str, document: dict[str, Any]) -> int:
        """Publish an event; the moment before, in Unix nanoseconds."""
        data = json.dumps(document).encode()
        begun = time.time_ns()
        self._do(self._publish(f"the0.bot.{action}", data))
        return begun

    def lines(self, bot_id: str) -> list[tuple[int, str]]:
        """The log lines of a bot so far, each with when it arrived here."""
        return list(self._lines[bot_id])

    def first_line(self, bot_id: str) -> tuple[int, int]:
        """When the bot wrote its first line, and when that arrived here."""
        at, text = until(lambda: self._find(bot_id), f"the first line of {bot_id}", 0.01)
        return int(text.split()[1]), at

    def round_trips(self, count: int) -> list[float]:
        """Milliseconds of a message to oneself, the least that a live line can cost."""
        return [self._do(self._round_trip()) for _ in range(count)]

    def close(self) -> None:
        self._do(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _find(self, bot_id: str) -> tuple[int, str] | None:
        return next((one for one in self.lines(bot_id) if one[1].startswith("first ")), None)

    async def _publish(self, subject: str, data: bytes) -> None:
        await self._client.publish(subject, data)
        await self._client.flush()

    async def _round_trip(self) -> float:
        came = asyncio.Event()

        async def take(_: Msg) -> None:
            came.set()

        listening = await self._client.subscribe("bench.echo", cb=take)
        await self._client.flush()
        begun = time.perf_counter()
        await self._client.publish("bench.echo", b"x" * 100)
        await came.wait()
        took = (time.perf_counter() - begun) * 1000
        await listening.unsubscribe()
        return took

    async def _take(self, message: Msg) -> None:
        now = time.time_ns()
        bot_id = message.subject.rpartition(".")[2]
        self._lines[bot_id] += [(now, line) for line in message.data.decode().splitlines()]

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)


@contextmanager
def wire(site: Site) -> Iterator[Wire]:
    opened = Wire(site.nats.url)
    try:
        yield opened
    finally:
        opened.close()
