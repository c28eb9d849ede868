"""What remains of bots: volumes and records of those that are gone, launches nobody uses."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from the0.core.engine import Engine
from the0.core.status_store import StatusStore
from the0.documents import document_id
from the0.errors import Conflict, The0Error
from the0.launches import LaunchStore
from the0.models import BotType
from the0.plugin.interfaces import Storage
from the0.pool import BlockingPool
from the0.repository import Repository
from the0.storage.log_spool import remove_spooled
from the0.storage.logs import LogStore
from the0.storage.state import StateStore

LAUNCH_KEPT = timedelta(minutes=2)
"""How long a launch without a container is left alone: its container may be in the making."""

TRASH_KEPT = timedelta(days=7)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Remains:
    """Where the remains of bots lie. Blocking parts run in the pools named for them."""

    engine: Engine
    repository: Repository
    store: StatusStore
    launches: LaunchStore
    files: BlockingPool
    spool: Path
    states: StateStore
    storage: BlockingPool
    plugin: Storage
    logs_bucket: str
    installation: str


class Retirement:
    """Clears away, in an order that loses nothing."""

    def __init__(self, remains: Remains) -> None:
        self._at = remains

    async def forget(self, bot_id: str) -> None:
        """A bot without document, container and unsaved state: its volumes go, then its record.

        What the store has of its state and logs stays, unless somebody asked for a purge: then
        the logs go, and the state goes to the trash first.
        """
        at = self._at
        if at.store.get(bot_id).purge:
            await at.storage.call(at.states.delete, bot_id, datetime.now(UTC))
            # What is spooled goes first, or it would be stored again.
            await at.files.call(remove_spooled, at.spool, bot_id)
            await at.storage.call(LogStore(at.plugin, at.logs_bucket).remove, bot_id)
        await at.engine.call(at.engine.executor.remove_bot_volumes, bot_id)
        at.store.remove(bot_id)
        await at.store.flush(bot_id)
        log.info("bot %r is gone: its volumes and its record are removed", bot_id)

    async def purge(self, bot_id: str) -> None:
        """Have the stored state go with the bot; durable when this returns. Raises Conflict while
        the bot's document is still there."""
        at = self._at
        for kind in BotType:
            if await at.repository.get_bot(kind, bot_id) is not None:
                raise Conflict(f"The bot {bot_id!r} still exists; delete it before its state.")
        # What is unsaved need not be stored only to be thrown away.
        at.store.put(bot_id, replace(at.store.get(bot_id), purge=True, unsaved=False))
        await at.store.flush(bot_id)

    async def take_choice(self, bot_id: str) -> None:
        """Take in a person's answer to the bot's StateConflict, for its next start. Raises
        Unavailable.

        It is taken away from where it was given: left there, it would answer a later conflict,
        about which nobody was asked.
        """
        at = self._at
        keep = await at.repository.state_choice(at.installation, bot_id)
        if keep is None:
            return
        at.store.put(bot_id, replace(at.store.get(bot_id), state_keep=keep))
        try:
            await at.store.flush(bot_id)
            await at.repository.clear_state_choice(at.installation, bot_id)
        except The0Error:
            at.store.put(bot_id, replace(at.store.get(bot_id), state_keep=None))
            raise

    async def sweep_launches(self, in_use: Collection[str], busy: Collection[str]) -> None:
        """Take the rights of launches that have no container (any more). Those of queries and of
        scheduled runs are the business of who makes them."""
        at, now = self._at, datetime.now(UTC)
        for launch in await at.files.call(at.launches.all):
            old = now - launch.created > LAUNCH_KEPT and launch.kind in ("realtime", "flush")
            if old and launch.launch not in in_use and launch.bot_id not in busy:
                await at.files.call(at.launches.remove, launch.launch)

    async def find_orphans(self, known: Collection[str]) -> None:
        """Take up volumes of bots that nobody knows, so that what they hold is stored and they
        are removed."""
        at = self._at
        volumes: Mapping[str, object] = await at.engine.call(at.engine.executor.bot_volumes)
        unknown = volumes.keys() - set(known) - set(at.store.ids())
        if unknown:
            scheduled = await at.repository.desired(BotType.SCHEDULED)
            unknown -= {document_id(one.decode()) for one in scheduled}
        for bot_id in unknown:
            log.warning("the volumes of bot %r belong to no known bot; they are taken up", bot_id)
            at.store.put(bot_id, replace(at.store.get(bot_id), unsaved=True))

    async def empty_trash(self) -> None:
        """Delete for good what lay in the trash long enough."""
        at = self._at
        try:
            await at.storage.call(at.states.empty_trash, datetime.now(UTC) - TRASH_KEPT)
        except The0Error as error:
            log.warning("the trash of purged state could not be emptied: %s", error)
