"""How bots are doing: told by the role that runs them or, while it is silent, from MongoDB."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from the0.api.bot_views import Document
from the0.api.parts import Parts
from the0.api.roles import ROLE_OF
from the0.core.schedule_views import scheduled_bot_json
from the0.errors import InvalidDocument, Unavailable
from the0.models import BotType
from the0.values import to_json


@dataclass(frozen=True)
class Statuses:
    """Status by bot id, and whether the bots' own role gave it."""

    by_id: Mapping[str, Any]
    live: bool


async def find_statuses(parts: Parts, kind: BotType, documents: Iterable[Document]) -> Statuses:
    """How the bots of one kind are doing; `documents` are those that are of interest.

    Raises Unavailable when neither their role nor MongoDB answers.
    """
    try:
        found = (await parts.roles.status(ROLE_OF[kind]))["bots"]
    except Unavailable:
        stored = _stored_schedules if kind is BotType.SCHEDULED else _stored_statuses
        return Statuses(await stored(parts, documents), live=False)
    return Statuses({bot["id"]: bot for bot in found}, live=True)


async def _stored_statuses(parts: Parts, _: Iterable[Document]) -> Mapping[str, Any]:
    installation = await parts.installation()
    stored = await parts.repository.statuses(installation) if installation else {}
    return {bot_id: to_json(status) for bot_id, status in stored.items()}


async def _stored_schedules(parts: Parts, documents: Iterable[Document]) -> Mapping[str, Any]:
    running = {run.bot_id: run for run in await parts.repository.active_runs()}
    found = {}
    for document in documents:
        with suppress(InvalidDocument):  # of which the scheduler tells, once it is back
            bot = parts.parse_schedule(document)
            due = bot.planned if bot.enabled else None
            found[bot.id] = scheduled_bot_json(bot.id, bot, due, running.get(bot.id), None)
    return found
