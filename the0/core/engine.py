"""The engine as runner and scheduler use it: blocking calls in threads, one look shared by all."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar

from the0.core.plan import UNKNOWN, Seen, Unseen
from the0.core.tracked import Outage, before_first_look
from the0.errors import NotFound, The0Error
from the0.models import (
    BotType,
    Container,
    ContainerAction,
    ContainerEvent,
    ContainerState,
    Purpose,
)
from the0.plugin.interfaces import Executor
from the0.pool import BlockingPool

P = ParamSpec("P")
T = TypeVar("T")
Look = Mapping[str, Sequence[Container]]

CALLS_AT_ONCE = 8
STOPS_AT_ONCE = 64
EVENTS_RETRY_SEC = 1.0
DEATHS_REMEMBERED = 1000

log = logging.getLogger(__name__)


class Engine:
    """An executor behind thread pools of its own.

    Stops have threads of their own, so that slow ones never keep a start waiting. `outage` is the
    last time without an answer that may have ended containers; `fault` how it stands now. Only
    containers of bots of `type` are looked at: those of others are the business of others.
    """

    def __init__(
        self, executor: Executor, timeout_sec: float, type: BotType = BotType.REALTIME
    ) -> None:
        self.executor = executor
        self._type = type
        self.outage: Outage | None = None
        self.fault = ""
        self._calls = BlockingPool("The container engine", CALLS_AT_ONCE, timeout_sec, 4096)
        self._stops = BlockingPool("The container engine", STOPS_AT_ONCE, timeout_sec, 16384)
        self._current: asyncio.Task[Look | Unseen] | None = None
        self._next: asyncio.Task[Look | Unseen] | None = None
        self._gone_at: datetime | None = None
        self._seen_once = False
        self._died: set[str] = set()
        self._stop_events = threading.Event()

    async def call(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """One of the executor's methods, in a thread, within the engine's time-out."""
        return await self._calls.call(fn, *args, **kwargs)

    async def stop(self, ref: str, timeout_sec: float) -> None:
        """Stop a container within `timeout_sec`, and the engine's own time-out on top."""
        within = timeout_sec + self._stops.timeout_sec
        await self._stops.call_within(within, self.executor.stop, ref, timeout_sec)

    async def look(self) -> Look | Unseen:
        """All containers of this type of bots by bot id, as they are now or later.

        Whoever asks while a look is under way shares the next one, so that what comes back was
        never read before the question; UNKNOWN when the engine gives no (complete) answer.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._look_after(self._current), name="engine look")
        return await asyncio.shield(self._next)

    async def look_at(self, bot_id: str) -> Seen:
        """One bot's containers. One that is said to have died is inspected by itself: a list may
        show it running for a moment longer."""
        look = await self.look()
        if isinstance(look, Unseen):
            return look
        seen = [await self._as_it_is(one) for one in look.get(bot_id, ())]
        return [one for one in seen if one is not None]

    async def _as_it_is(self, container: Container) -> Container | None:
        if container.ref not in self._died or container.state is not ContainerState.RUNNING:
            return container
        try:
            return await self.call(self.executor.inspect, container.ref)
        except NotFound:
            return None

    def _note_event(self, event: ContainerEvent) -> None:
        if event.action is ContainerAction.DIED:
            self._died.add(event.ref)
        elif event.action is ContainerAction.REMOVED:
            self._died.discard(event.ref)

    async def _look_after(self, current: asyncio.Task[Look | Unseen] | None) -> Look | Unseen:
        if current:
            await asyncio.wait({current})
        self._current, self._next = self._next, None
        try:
            containers = await self.call(self.executor.list)
            await self._note_answer()
        except The0Error as error:
            self.note_gone(error)
            return UNKNOWN
        if len(self._died) > DEATHS_REMEMBERED:
            self._died &= {one.ref for one in containers}
        found: defaultdict[str, list[Container]] = defaultdict(list)
        for one in containers:
            if one.type is self._type and one.purpose is Purpose.BOT:
                found[one.bot_id].append(one)
        return found

    def note_gone(self, error: The0Error) -> None:
        """The engine gave no answer."""
        if self._gone_at is None:
            self._gone_at = datetime.now(UTC)
            log.warning("the container engine does not answer: %s", error)
        self.fault = error.message

    async def _note_answer(self) -> None:
        """After a silence (or at the first answer) find out whether containers may have ended."""
        if self._seen_once and self._gone_at is None:
            return
        info = await self.call(self.executor.info)
        now = datetime.now(UTC)
        if self._gone_at is not None:
            log.info("the container engine answers again")
        if not info.keeps_containers:
            first = not self._seen_once or self._gone_at is None
            self.outage = before_first_look(now) if first else Outage(self._gone_at or now, now)
        self._seen_once, self._gone_at, self.fault = True, None, ""

    def start_events(
        self, on_event: Callable[[ContainerEvent], None], on_gap: Callable[[], None]
    ) -> None:
        """Read the engine's events in a thread until :meth:`close`, calling back in this loop:
        `on_event` for what ended or went, `on_gap` whenever events may have been missed."""
        loop = asyncio.get_running_loop()

        def take_in(event: ContainerEvent) -> None:
            self._note_event(event)
            if event.action is not ContainerAction.STARTED:
                on_event(event)

        def lost(error: The0Error) -> None:
            self.note_gone(error)
            on_gap()

        def read() -> None:
            while not self._stop_events.is_set():
                try:
                    for event in self.executor.events(self._stop_events):
                        loop.call_soon_threadsafe(take_in, event)
                except The0Error as error:
                    if not self._stop_events.is_set():
                        loop.call_soon_threadsafe(lost, error)
                except Exception:
                    log.exception("unexpected error while reading the engine's events")
                self._stop_events.wait(EVENTS_RETRY_SEC)

        threading.Thread(target=read, name="the0-engine-events", daemon=True).start()

    def close(self) -> None:
        """End the events' thread and take no more calls."""
        self._stop_events.set()
        self._calls.close()
        self._stops.close()
