"""What the handlers work with, made once when the API starts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from the0.api.roles import Roles
from the0.config import Settings
from the0.documents import parse_bot
from the0.models import Bot, BotSchedule, BotType
from the0.plugin.interfaces import Storage
from the0.plugin.manager import PluginManager
from the0.pool import BlockingPool
from the0.repository import Repository
from the0.schedules import chosen_scheduler, parse_schedule

USER = "local"
"""The one user that this installation has: the first part of the keys of code archives."""


@dataclass(frozen=True)
class Parts:
    """`calls` runs the blocking calls to storage, `work` checks of archives and of the machine;
    `writing` is held while documents are read and changed; `closing` is set when the API ends."""

    settings: Settings
    repository: Repository
    storage: Storage
    plugins: PluginManager
    roles: Roles
    calls: BlockingPool
    work: BlockingPool
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def installation(self) -> str | None:
        """The id of this installation; None while no runner ever claimed one."""
        return await self.repository.installation(self.settings.general.instance)

    async def find_bot(self, bot_id: str) -> tuple[BotType, Mapping[str, Any]] | None:
        """A bot's type and document, whichever collection it is in."""
        for kind in BotType:
            document = await self.repository.get_bot(kind, bot_id)
            if document is not None:
                return kind, document
        return None

    def parse_bot(self, kind: BotType, document: Any) -> Bot:
        """The bot that a document describes. Raises InvalidDocument with every fault by path,
        PluginError where the scheduler plugin is missing."""
        if kind is BotType.SCHEDULED:
            return self.parse_schedule(document)
        return parse_bot(document, kind, self.settings.limits)

    def parse_schedule(self, document: Any) -> BotSchedule:
        """:meth:`parse_bot` for a scheduled one."""
        scheduler = chosen_scheduler(self.settings, self.plugins)
        return parse_schedule(document, self.settings.limits, self.settings.scheduler, scheduler)


def now_text() -> str:
    """The time as documents carry it: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
