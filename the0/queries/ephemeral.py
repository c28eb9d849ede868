"""Queries to bots that do not run: each is answered in a container of its own.

The container is one that waits in the pool of the bot's runtime, or is made for the query where
none does. In both cases it begins without a bot, is given its one job, and is removed.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from the0.config import Settings
from the0.core.leader import Leadership
from the0.core.runtimes import Ready
from the0.errors import DeadlineExceeded, InvalidInput, The0Error, Unavailable
from the0.launches import LaunchStatus, LaunchStore, status_file
from the0.models import Bot
from the0.plugin.interfaces import PluginArgs, ProcessPlan, Storage
from the0.plugin.manager import PluginManager
from the0.queries.ephemeral_keeper import Keeper, KeeperSite
from the0.queries.ephemeral_outcome import hold_up, judge
from the0.queries.models import Answer, Query, QueryFailed
from the0.queries.pool import Member
from the0.repository import Repository
from the0.watch import FolderWatch

RETRY_SEC = 1.0
FIRST_WORD_SEC = 0.25
LOOK_AGAIN_SEC = 1.0
HELD_UP_SEC = 3.0
"""A dependency may be away for so long before a query gives it up."""

MOST_PARAMETERS = 120_000
"""Linux takes 128 KiB in one variable."""

log = logging.getLogger("the0.queries")


@dataclass(frozen=True)
class EphemeralSite:
    """What belongs to the host's process."""

    settings: Settings
    plugins: PluginManager
    repository: Repository
    storage: Storage


@dataclass(frozen=True)
class _Job:
    """One query, until when it is to be answered (loop time), and how its process is started."""

    bot: Bot
    query: Query
    deadline: float
    plan: ProcessPlan


class _Lost(Exception):
    """The container ended before it had begun; queries change nothing, so another may try."""


class EphemeralQueries:
    """Answers queries in containers. Of several processes of an installation one does so, the
    others wait to take over."""

    def __init__(self, site: EphemeralSite) -> None:
        self._site = site
        self._launches = LaunchStore(site.settings.state_dir.launches)
        self._watch = FolderWatch(site.settings.state_dir.launches)
        self._keeper: Keeper | None = None
        self._waiting_for = "nothing asked yet"
        self.serving = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve :meth:`ask` until `stop`; then no container is left."""
        async with self._lock(stop), self._opened(stop) as keeper:
            if keeper is None:
                return
            self._keeper = keeper
            self.serving.set()
            try:
                await keeper.run(stop)
            finally:
                self._keeper = None
                self.serving.clear()
                self._watch.close()

    @property
    def fault(self) -> str:
        """What it waits for before it can answer; empty while it can."""
        return "" if self._keeper else self._waiting_for

    async def ask(self, bot: Bot, query: Query, deadline: float) -> Answer:
        """The answer of `bot`'s query program, by `deadline` (of the loop's clock).

        Raises InvalidInput for parameters that are too large, QueryFailed, DeadlineExceeded, and
        Unavailable when a dependency is away. Whoever is cancelled, or comes too late, leaves
        nothing behind.
        """
        _check(query)
        keeper = self._keeper
        if keeper is None:
            raise Unavailable(f"Bots that do not run cannot be asked now: {self._waiting_for}")
        try:
            async with asyncio.timeout_at(deadline):
                ready = await keeper.ready(bot.runtime)
                job = _Job(bot, query, deadline, _plan(ready, bot))
                return await self._answer(keeper, ready, job)
        except TimeoutError:
            text = f"The query was not answered within {query.timeout_sec:g} s."
            raise DeadlineExceeded(text) from None

    async def _answer(self, keeper: Keeper, ready: Ready, job: _Job) -> Answer:
        for fresh in (False, True):
            try:
                return await self._attempt(keeper, ready, job, fresh=fresh)
            except _Lost:
                log.info("a query container ended before it began; another one is made")
        raise Unavailable("The containers for this query ended before they began.")

    async def _attempt(self, keeper: Keeper, ready: Ready, job: _Job, *, fresh: bool) -> Answer:
        async with keeper.container(ready, job.bot.resources, fresh=fresh) as member:
            left_sec = max(0.0, job.deadline - asyncio.get_running_loop().time())
            asked = {
                "path": job.query.path,
                "params": dict(job.query.params),
                "deadline_sec": left_sec,
            }
            document = keeper.launcher.query_document(job.bot, job.plan, asked)
            await keeper.containers.assign(member, job.bot, document)
            status = await self._ended(keeper, member)
            result = self._launches.result(member.launch)
        assert status.exit
        conditions = {one.type: one.message for one in status.conditions if one.status}
        return judge(status.exit, conditions, result)

    async def _ended(self, keeper: Keeper, member: Member) -> LaunchStatus:
        """The agent's last report."""
        patience_sec, loop = FIRST_WORD_SEC, asyncio.get_running_loop()
        begun = loop.time()
        with self._watch.of(status_file(member.launch)) as change:
            while True:
                status = self._launches.status(member.launch)
                if status and status.exit:
                    return status
                held_up = hold_up(status) if status else None
                if held_up and loop.time() > begun + HELD_UP_SEC:
                    raise held_up
                if await change.wait(patience_sec) or not await keeper.containers.ended(member):
                    patience_sec = LOOK_AGAIN_SEC
                    continue
                if self._keeper is None:
                    raise Unavailable("The host stops; ask again.")
                if status is None:
                    raise _Lost
                status = self._launches.status(member.launch)
                if status is None or status.exit is None:
                    raise QueryFailed("The query's container ended without a word.")

    # --- the start ---

    @asynccontextmanager
    async def _lock(self, stop: asyncio.Event) -> AsyncIterator[None]:
        """Hold query.lock, unless `stop` comes first. The kernel frees it with the process."""
        self._site.settings.state_dir.make()
        lock = Leadership(self._site.settings.state_dir.query_lock)
        self._waiting_for = "another process of this installation has their containers"
        while not lock.try_acquire() and not await _set_within(stop, RETRY_SEC):
            continue
        try:
            yield
        finally:
            lock.release()

    @asynccontextmanager
    async def _opened(self, stop: asyncio.Event) -> AsyncIterator[Keeper | None]:
        """A keeper that is ready; None when `stop` came first."""
        while not stop.is_set():
            try:
                installation = await self._installation()
                break
            except The0Error as error:
                self._wait_for(error)
                await _set_within(stop, RETRY_SEC)
        else:
            yield None
            return
        settings = self._site.settings
        args = self._args(installation)
        executor = self._site.plugins.executors.get(settings.executor.plugin)(args)
        site = KeeperSite(
            settings, args, executor, self._site.plugins, self._site.storage, self._launches
        )
        keeper = Keeper(site)
        try:
            yield keeper if await self._readied(keeper, stop) else None
        finally:
            await keeper.close()
            executor.close()

    async def _readied(self, keeper: Keeper, stop: asyncio.Event) -> bool:
        while not stop.is_set():
            try:
                await keeper.open()
            except The0Error as error:
                self._wait_for(error)
                await _set_within(stop, RETRY_SEC)
            else:
                return True
        return False

    async def _installation(self) -> str:
        instance = self._site.settings.general.instance
        found = await self._site.repository.installation(instance)
        if found is None:
            raise Unavailable(f"no runner has ever worked for the installation {instance!r}.")
        return found

    def _wait_for(self, error: The0Error) -> None:
        if error.message != self._waiting_for:
            log.info("queries to bots that do not run have to wait: %s", error)
        self._waiting_for = error.message

    def _args(self, installation: str) -> PluginArgs:
        settings = self._site.settings
        root = settings.state_dir.root
        return PluginArgs(settings.general.instance, installation, root, settings.sections)


def _check(query: Query) -> None:
    size = len(json.dumps(dict(query.params)))
    if size > MOST_PARAMETERS:
        raise InvalidInput(
            f"The parameters have {size:,} bytes as JSON; a bot that does not run is given them in "
            f"its environment, which takes {MOST_PARAMETERS:,}."
        )


def _plan(ready: Ready, bot: Bot) -> ProcessPlan:
    try:
        return ready.runtime.processes(bot.entrypoints)
    except InvalidInput as error:
        raise QueryFailed(f"The query cannot be started: {error.message}") from error


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
