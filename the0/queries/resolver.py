"""Finds what a query is about: the bot, and where its query server listens if it has one."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from the0.config import Settings
from the0.core.launcher import QUERY_PORT
from the0.core.tracked import FLUSH_SPEC
from the0.documents import parse_bot
from the0.errors import InvalidDocument, NotFound, Unavailable
from the0.models import Bot, BotType, Container, ContainerState, Purpose
from the0.plugin.interfaces import Executor, PluginArgs
from the0.plugin.manager import PluginManager
from the0.pool import BlockingPool
from the0.queries.http_client import Peer
from the0.queries.shared import Shared
from the0.repository import Repository

KNOWN_SEC = 0.2
"""How old an answer of MongoDB and the engine may be. In so short a time no engine can end a
container and have another one, at the same address, listening."""
LOOK_SEC = 1.0
"""How old the list of all containers may be where a bot does not seem to run."""


@dataclass(frozen=True)
class Found:
    """A bot with a query entrypoint; `peer` is None while it does not run."""

    bot: Bot
    peer: Peer | None


class QueryResolver:
    """Bots by id, with their running containers."""

    def __init__(self, settings: Settings, plugins: PluginManager, repository: Repository) -> None:
        self._limits = settings.limits
        self._repository = repository
        self._whereabouts = Whereabouts(settings, plugins, repository)
        self._found = Shared(self._find, KNOWN_SEC)

    async def find(self, bot_id: str, since: float = 0.0) -> Found:
        """The bot as it is now, or was at `since` (of the loop's clock) at the earliest.

        Raises NotFound for an unknown bot and one that answers no queries, Unavailable when
        MongoDB or the engine does not answer.
        """
        return await self._found.get(bot_id, since)

    async def close(self) -> None:
        await self._found.close()
        await self._whereabouts.close()

    async def _find(self, bot_id: str) -> Found:
        bot = await self._bot(bot_id)
        if "query" not in bot.entrypoints:
            raise NotFound(f"The bot {bot_id!r} has no query entrypoint: it answers no queries.")
        if bot.type is BotType.SCHEDULED:
            return Found(bot, None)
        return Found(bot, await self._whereabouts.of(bot_id))

    async def _bot(self, bot_id: str) -> Bot:
        for kind in BotType:
            document = await self._repository.get_bot(kind, bot_id)
            if document is None:
                continue
            try:
                return parse_bot(document, kind, self._limits)
            except InvalidDocument as error:
                # Its faults may show parts of a configuration, and are no news to who asks.
                raise Unavailable(
                    f"The bot {bot_id!r} cannot be asked: its document cannot be understood; "
                    "see `the0 bot show`."
                ) from error
        raise NotFound(f"There is no bot with the id {bot_id!r}; see `the0 bot list`.")


class Whereabouts:
    """Where the query servers of running bots listen, by an executor of its own."""

    def __init__(self, settings: Settings, plugins: PluginManager, repository: Repository) -> None:
        self._settings = settings
        self._plugins = plugins
        self._repository = repository
        self._engine = BlockingPool("The container engine", 4, settings.executor.timeout_sec)
        self._executor: Executor | None = None
        self._refs: dict[str, str] = {}
        self._looks = Shared(self._look, LOOK_SEC)

    async def of(self, bot_id: str) -> Peer | None:
        """The peer of a running bot; None for one that does not run. Raises Unavailable."""
        since = 0.0
        if bot_id in self._refs:
            with suppress(NotFound, Unavailable):
                return await self._peer(self._refs[bot_id])
            since = asyncio.get_running_loop().time()
        self._refs = await self._looks.get("running", since)
        if bot_id not in self._refs:
            return None
        with suppress(NotFound):
            return await self._peer(self._refs[bot_id])
        return None

    async def close(self) -> None:
        await self._looks.close()
        self._engine.close()
        if self._executor:
            self._executor.close()

    async def _peer(self, ref: str) -> Peer:
        assert self._executor
        host, port = await self._engine.call(self._executor.address, ref, QUERY_PORT)
        return Peer(ref, host, port)

    async def _look(self, _: str) -> dict[str, str]:
        """Bot id -> ref of its running container."""
        if self._executor is None:
            self._executor = await self._make_executor()
        if self._executor is None:
            return {}
        found = await self._engine.call(self._executor.list)
        return {one.bot_id: one.ref for one in found if _is_running_bot(one)}

    async def _make_executor(self) -> Executor | None:
        """None while no runner has ever worked here, so that nothing can run."""
        general = self._settings.general
        installation = await self._repository.installation(general.instance)
        if installation is None:
            return None
        root, sections = self._settings.state_dir.root, self._settings.sections
        args = PluginArgs(general.instance, installation, root, sections)
        return self._plugins.executors.get(self._settings.executor.plugin)(args)


def _is_running_bot(one: Container) -> bool:
    runs = one.purpose is Purpose.BOT and one.state is ContainerState.RUNNING
    return runs and one.spec_hash != FLUSH_SPEC
