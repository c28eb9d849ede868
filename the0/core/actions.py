"""Carrying out one step for one bot: what the plan named, done with the engine and the disk."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from the0.core import exits
from the0.core.backoff import Backoff
from the0.core.engine import Engine
from the0.core.launcher import Launcher, Prepared
from the0.core.plan import Absence, Action, Do, Wanted
from the0.core.presentation import after_last_words
from the0.core.retirement import Retirement
from the0.core.runtimes import Ready, Runtimes
from the0.core.service_state import Metrics
from the0.core.status_store import StatusStore
from the0.core.stopping import Stopping
from the0.core.tracked import (
    FLUSH_SPEC,
    Attempt,
    after_exit,
    after_failed_start,
    after_flush,
    after_start,
    ended_by_policy,
)
from the0.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    ServerFault,
    The0Error,
    Unavailable,
)
from the0.launches import LaunchStatus, LaunchStore
from the0.models import Bot, BotType, Container, ExitRecord
from the0.pool import BlockingPool

T = TypeVar("T")
FLUSH_TIMEOUT_SEC = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tools:
    """What steps are carried out with. `wanted` gives the newest intent for a bot."""

    engine: Engine
    files: BlockingPool
    launches: LaunchStore
    launcher: Launcher
    runtimes: Runtimes
    store: StatusStore
    metrics: Metrics
    retirement: Retirement
    backoff: Backoff
    exits_kept: int
    wanted: Callable[[str], Wanted]


class Actions:
    """One method per kind of step. They raise Conflict (look again) and Unavailable (unknown)."""

    def __init__(self, tools: Tools, starts_at_once: int) -> None:
        self._tools = tools
        self._starts = asyncio.Semaphore(starts_at_once)
        self._asked_by: dict[str, str] = {}
        self._faulted: set[str] = set()
        self._stopping = Stopping(tools.engine, tools.files, tools.launches, tools.launcher)
        self._steps: dict[Do, Callable[[str, Action], Awaitable[None]]] = {
            Do.START: self._start,
            Do.RESUME: self._resume,
            Do.STOP: self._stop,
            Do.UNPAUSE: self._unpause,
            Do.COLLECT: self._collect,
            Do.DISCARD: self._discard,
            Do.LOST: self._lost,
            Do.FLUSH: self._flush,
            Do.FORGET: self._forget,
        }

    async def carry_out(self, bot_id: str, action: Action) -> None:
        await self._steps[action.do](bot_id, action)

    # --- starting ---

    async def _start(self, bot_id: str, _: Action) -> None:
        async with self._starts:
            bot = self._tools.wanted(bot_id)
            if not isinstance(bot, Bot) or not bot.enabled:
                return
            ready = self._tools.runtimes.get(bot.runtime)
            if isinstance(ready, Ready):
                await self._start_with(bot, ready)

    async def _start_with(self, bot: Bot, ready: Ready) -> None:
        begun = time.monotonic()

        async def start() -> Container:
            keep = self._tools.store.get(bot.id).state_keep
            plan = ready.runtime.processes(bot.entrypoints)
            prepared = self._tools.launcher.prepare(bot, plan, ready.image, keep)
            container = await self._create(prepared)
            await self._begin(bot, container)
            return container

        container = await self._attempt(bot, start)
        if container is None:
            return
        self._tools.metrics.start_seconds.observe(time.monotonic() - begun)
        log.info(
            "bot %r started: version %s, launch %s", bot.id, bot.version, container.launch[:12]
        )

    async def _attempt(self, bot: Bot, work: Callable[[], Awaitable[T]]) -> T | None:
        """What `work` returns; None when it failed for a reason that lies with this bot."""
        try:
            done = await work()
        except ServerFault as error:
            # The first one may be a trouble of the engine's own that passes.
            if bot.id not in self._faulted:
                self._faulted.add(bot.id)
                raise
            self._note_failure(bot, error)
            return None
        except (Conflict, Unavailable):
            raise
        except The0Error as error:
            self._note_failure(bot, error)
            return None
        self._faulted.discard(bot.id)
        self._tools.metrics.starts.inc()
        return done

    def give_up(self, bot_id: str, action: Action, error: Conflict) -> None:
        """The step met the same conflict again and again: for a start that is a failure."""
        bot = self._tools.wanted(bot_id)
        if action.do in (Do.START, Do.RESUME) and isinstance(bot, Bot):
            self._note_failure(bot, error)

    async def _create(self, prepared: Prepared) -> Container:
        tools, launch = self._tools, prepared.launch
        await tools.files.call(tools.launches.write, launch)
        try:
            container = await tools.engine.call(tools.engine.executor.create, prepared.spec)
        except Unavailable:
            raise  # it may have been created: the launch stays until that is known
        except The0Error:
            await tools.files.call(tools.launches.remove, launch.launch)
            raise
        await tools.files.call(tools.launches.supersede, launch.bot_id, launch.launch)
        return container

    async def _begin(self, bot: Bot, container: Container) -> None:
        tools = self._tools
        before = tools.store.get(bot.id)
        tools.store.put(bot.id, after_start(before, bot, container.launch))
        try:
            await tools.engine.call(tools.engine.executor.start, container.ref)
        except ServerFault:
            tools.store.put(bot.id, before)
            raise
        except (Conflict, Unavailable):
            raise
        except The0Error as error:
            tools.store.put(bot.id, before)
            await self._throw_away(container)
            raise InvalidInput(error.message) from error

    def _note_failure(self, bot: Bot, error: The0Error) -> None:
        tools = self._tools
        before, now = tools.store.get(bot.id), datetime.now(UTC)
        after = after_failed_start(before, bot, error.message, tools.backoff, now)
        tools.store.put(bot.id, after)
        tools.metrics.start_failures.inc()
        log.warning("bot %r could not be started: %s", bot.id, error.message)

    async def _resume(self, bot_id: str, action: Action) -> None:
        bot, container = self._tools.wanted(bot_id), _container(action)
        if not isinstance(bot, Bot):
            return

        async def resume() -> bool:
            await self._begin(bot, container)
            return True

        async with self._starts:
            if await self._attempt(bot, resume):
                log.info("bot %r: a start that was broken off is gone on with", bot_id)

    async def _flush(self, bot_id: str, _: Action) -> None:
        tools = self._tools
        tracked = tools.store.get(bot_id)
        ready = tools.runtimes.any_ready(tracked.runtime)
        if not isinstance(ready, Ready):
            return
        prepared = tools.launcher.prepare_flush(
            bot_id, BotType.REALTIME, ready.image, tracked.state_keep
        )
        try:
            async with self._starts:
                container = await self._create(prepared)
                launched = replace(tracked, launch=prepared.launch.launch, state_keep=None)
                tools.store.put(bot_id, launched)
                await tools.engine.call(tools.engine.executor.start, container.ref)
        except (InvalidInput, NotFound, ServerFault) as error:
            attempt = Attempt(bot_id, FLUSH_SPEC, datetime.now(UTC))
            tools.store.put(bot_id, after_flush(tracked, attempt, False, tools.backoff))
            log.warning("what bot %r left cannot be stored yet: %s", bot_id, error.message)
            return
        log.info("bot %r left unsaved state; it is being stored", bot_id)

    # --- ending ---

    async def _stop(self, bot_id: str, action: Action) -> None:
        container = _container(action)
        self._asked_by[container.ref] = action.asked_by
        log.info("bot %r is being stopped (%s)", bot_id, action.asked_by)
        await self._stopping.stop(container)

    async def _unpause(self, bot_id: str, action: Action) -> None:
        log.info("bot %r is paused; it goes on", bot_id)
        await self._tools.engine.call(self._tools.engine.executor.unpause, _container(action).ref)

    async def _collect(self, bot_id: str, action: Action) -> None:
        """Read all that tells why it ended, write that down, and only then remove it."""
        tools = self._tools
        ref = _container(action).ref
        container = await tools.engine.call(tools.engine.executor.inspect, ref)
        status = await self._status(container.launch)
        last = tools.store.get(bot_id).last_exit
        if last is None or last.launch != container.launch:
            asked_by = self._asked_by.get(ref, action.asked_by)
            await self._record(bot_id, container, status, asked_by)
        await self._throw_away(container)
        self._asked_by.pop(ref, None)

    async def _record(
        self, bot_id: str, container: Container, status: LaunchStatus | None, asked_by: str
    ) -> None:
        tools, now = self._tools, datetime.now(UTC)
        executor = tools.engine.executor
        attempt = Attempt(
            bot_id,
            container.spec_hash,
            container.finished_at or now,
            exits.ran_for(container, now),
        )
        saved = not exits.left_unsaved(status)
        before = after_last_words(tools.store.get(bot_id), status, now)
        tools.store.put(bot_id, before)
        if container.spec_hash == FLUSH_SPEC:
            tools.store.put(bot_id, after_flush(before, attempt, saved, tools.backoff))
            return
        tail = await tools.engine.call(executor.log_tail, container.ref, exits.TAIL_LINES)
        record = exits.exit_record(container, status, tail, asked_by, now)
        await self._keep(bot_id, attempt, record, saved)

    async def _keep(self, bot_id: str, attempt: Attempt, record: ExitRecord, saved: bool) -> None:
        """Take in an exit, and have it in MongoDB before its container goes, if that answers."""
        tools = self._tools
        outage = tools.engine.outage
        if outage and outage.explains(record):
            record = replace(record, asked_by="engine-restart")
        before = tools.store.get(bot_id)
        after = after_exit(before, attempt, record, tools.backoff, tools.exits_kept)
        wanted = tools.wanted(bot_id)
        if isinstance(wanted, Bot) and ended_by_policy(wanted, record):
            after = replace(after, ended_spec=record.spec_hash)
        tools.store.put(bot_id, replace(after, unsaved=not saved and not after.purge))
        tools.metrics.exits.labels(record.asked_by or "nobody").inc()
        log.info("bot %r ended: %s", bot_id, _told(record))
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_SEC):
                await tools.store.flush(bot_id)
        except (TimeoutError, Unavailable):
            log.warning("the exit of bot %r waits for MongoDB", bot_id)

    async def _lost(self, bot_id: str, _: Action) -> None:
        tools, now = self._tools, datetime.now(UTC)
        tracked = tools.store.get(bot_id)
        launch = tracked.launch or ""
        status = await self._status(launch)
        wanted = tools.wanted(bot_id)
        spec = wanted.spec_hash if isinstance(wanted, Bot) else ""
        record = exits.lost_record(launch, status, spec, now)
        await self._keep(bot_id, Attempt(bot_id, spec, now), record, saved=False)
        await tools.files.call(tools.launches.remove, launch)

    async def _discard(self, bot_id: str, action: Action) -> None:
        container, store = _container(action), self._tools.store
        await self._throw_away(container)
        if store.get(bot_id).launch == container.launch:
            store.put(bot_id, replace(store.get(bot_id), launch=None))

    async def _throw_away(self, container: Container) -> None:
        tools = self._tools
        await tools.engine.call(tools.engine.executor.remove, container.ref)
        if container.launch:
            await tools.files.call(tools.launches.remove, container.launch)

    async def _forget(self, bot_id: str, _: Action) -> None:
        gone = self._tools.wanted(bot_id) is Absence.MISSING
        if gone or self._tools.store.get(bot_id).purge:
            await self._tools.retirement.forget(bot_id)

    async def _status(self, launch: str) -> LaunchStatus | None:
        return await self._tools.files.call(self._tools.launches.status, launch)


def _container(action: Action) -> Container:
    assert action.container is not None, action
    return action.container


def _told(record: ExitRecord) -> str:
    parts = [record.reason]
    if record.code is not None:
        parts.append(f"code {record.code}")
    if record.oom_killed:
        parts.append("out of memory")
    parts.append(f"asked by {record.asked_by}" if record.asked_by else "unasked")
    return ", ".join(parts)
