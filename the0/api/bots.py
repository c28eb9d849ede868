"""Instances: custom bots with a configuration, kept as documents that the runner acts on."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from the0.api import schemas
from the0.api.bot_views import (
    Document,
    check_step,
    custom_part,
    leaving,
    name_of,
    plain,
    readable,
    summary,
    version_of,
)
from the0.api.parts import Parts, now_text
from the0.api.roles import ROLE_OF
from the0.api.routes import Answer, Call, Route
from the0.api.runs import cancel_running
from the0.api.statuses import find_statuses
from the0.core.plan import STATE_CONFLICT
from the0.core.views import run_json
from the0.documents import document_id
from the0.errors import Conflict, InvalidDocument, InvalidInput, NotFound, Unavailable
from the0.models import BotType
from the0.project import check_instance
from the0.values import to_json

RUNS_SHOWN = 5

_BOT = "/api/v1/bots/<id>"


class Bots:
    """Handlers of `/api/v1/bots`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._repository = parts.repository

    def routes(self) -> list[Route]:
        return [*self._reading(), *self._changing(), *self._switching()]

    def _reading(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/api/v1/bots",
                "list_bots",
                "All bots with their status.",
                self.list,
                schemas.BOT_LIST,
            ),
            Route(
                "GET",
                _BOT,
                "show_bot",
                "One bot: configuration, conditions, exits or runs. The configuration is given "
                "whole.",
                self.show,
                schemas.BOT_DETAIL,
            ),
        ]

    def _changing(self) -> list[Route]:
        change = schemas.CHANGE
        return [
            Route(
                "POST",
                "/api/v1/bots",
                "deploy_bot",
                "Make an instance of a deployed custom bot.",
                self.create,
                change,
                status=201,
                body=schemas.NEW_BOT,
            ),
            Route(
                "PUT",
                _BOT,
                "update_bot",
                "Give a bot a new configuration, perhaps a new minor or patch version; it keeps "
                "its id and state.",
                self.update,
                change,
                body=schemas.CHANGED_BOT,
            ),
            Route(
                "DELETE",
                _BOT,
                "delete_bot",
                "Stop a bot and forget it; its stored state stays unless `purge` is given.",
                self.delete,
                change,
                query=schemas.PURGE_QUERY,
            ),
        ]

    def _switching(self) -> list[Route]:
        change = schemas.CHANGE
        return [
            Route("POST", f"{_BOT}/enable", "enable_bot", "Let it run.", self.enable, change),
            Route(
                "POST",
                f"{_BOT}/disable",
                "disable_bot",
                "Stop it; a scheduled one is not due any more.",
                self.disable,
                change,
                query=schemas.DISABLE_QUERY,
            ),
            Route(
                "POST",
                f"{_BOT}/state/keep",
                "keep_state",
                "Answer a StateConflict: which of the two states the bot goes on with.",
                self.keep_state,
                change,
                body=schemas.KEEP,
            ),
        ]

    # --- reading ----------------------------------------------------------------------------------

    async def list(self, _: Call) -> Answer:
        bots: list[dict[str, Any]] = []
        silent = []
        for kind in BotType:
            documents = list(readable(await self._repository.desired(kind)))
            found = await find_statuses(self._parts, kind, documents)
            bots += [summary(kind, document, found.by_id) for document in documents]
            if found.live:
                known = {document_id(document) for document in documents}
                gone = (one for one in found.by_id.values() if one["id"] not in known)
                bots += [leaving(kind, one) for one in gone]
            elif documents:
                silent.append(ROLE_OF[kind])
        bots.sort(key=lambda bot: (bot["name"], bot["id"]))
        return Answer({"bots": bots, "live": not silent, "silent": silent})

    async def show(self, call: Call) -> Answer:
        kind, document = await self._found(call.path["id"])
        found = await find_statuses(self._parts, kind, [document])
        body = {
            **summary(kind, document, found.by_id),
            **{name: plain(document.get(name)) for name in ("config", "custom")},
            "live": found.live,
            "silent": [] if found.live else [ROLE_OF[kind]],
        }
        if kind is BotType.SCHEDULED:
            runs = await self._repository.list_runs(call.path["id"], RUNS_SHOWN)
            body["runs"] = [run_json(run) for run in runs]
        return Answer(body)

    # --- changing ---------------------------------------------------------------------------------

    async def create(self, call: Call) -> Answer:
        config = call.body["config"]
        bot_id = call.body.get("id") or uuid.uuid4().hex
        kind, custom = await self._custom(config, now_text())
        document = {
            "id": bot_id,
            "config": config,
            "custom": custom,
            "enabled": call.body.get("enabled", True),
        }
        await self._check(document, kind)
        async with self._parts.writing:
            if await self._parts.find_bot(bot_id):
                raise Conflict(f"There is a bot with the id {bot_id!r} already; update that one.")
            await self._repository.upsert_bot(kind, document)
        return await self._changed(kind, document, 201)

    async def update(self, call: Call) -> Answer:
        config, bot_id = call.body["config"], call.path["id"]
        kind, old = await self._found(bot_id)
        created = custom_part(old).get("createdAt") or now_text()
        new_kind, custom = await self._custom(config, created)
        check_step(kind, custom_part(old), new_kind, custom)
        # What is not named stays as stored, also a plan that the scheduler moves meanwhile.
        document = {"id": bot_id, "config": config, "custom": custom}
        # It may take seconds, in which others may write: what was found is looked at again.
        await self._check(document, kind)
        async with self._parts.writing:
            kind, old = await self._found(bot_id)
            check_step(kind, custom_part(old), new_kind, custom)
            await self._repository.upsert_bot(kind, document)
        return await self._changed(kind, document)

    async def delete(self, call: Call) -> Answer:
        bot_id, purge = call.path["id"], call.query["purge"]
        async with self._parts.writing:
            found = await self._parts.find_bot(bot_id)
            # Asked again, this finishes a purge that could not be passed on the first time.
            if found is None and not purge:
                raise _unknown(bot_id)
            if found:
                await self._repository.delete_bot(found[0], bot_id)
        if purge and not await self._parts.roles.tell("runner", "/purge", bot_id):
            raise Unavailable(
                "The bot is deleted, but its stored state is not: the runner does not answer. "
                "Start it, then delete the bot once more with purge."
            )
        kind, document = found or (BotType.REALTIME, {"id": bot_id})
        return await self._changed(kind, document)

    async def enable(self, call: Call) -> Answer:
        return await self._changed(*await self._switch(call.path["id"], True))

    async def disable(self, call: Call) -> Answer:
        kind, document = await self._switch(call.path["id"], False)
        answer = await self._changed(kind, document)
        if kind is BotType.SCHEDULED and call.query["stop_running"]:
            await cancel_running(self._parts, call.path["id"])
        return answer

    async def _switch(self, bot_id: str, enabled: bool) -> tuple[BotType, Document]:
        async with self._parts.writing:
            kind, document = await self._found(bot_id)
            await self._repository.set_enabled(kind, bot_id, enabled)
        return kind, document

    async def keep_state(self, call: Call) -> Answer:
        bot_id = call.path["id"]
        found = await self._parts.find_bot(bot_id)
        kind, document = found or (BotType.REALTIME, {"id": bot_id})
        installation = await self._parts.installation()
        statuses = (await find_statuses(self._parts, kind, [document])).by_id
        # A deleted bot in conflict stays until somebody has chosen.
        if found is None and bot_id not in statuses:
            raise _unknown(bot_id)
        if installation is None or not _in_conflict(statuses.get(bot_id)):
            # Remembered, it would silently decide about a conflict that nobody has seen yet.
            raise Conflict(f"The state of the bot {bot_id!r} is not in conflict.")
        await self._repository.set_state_choice(installation, bot_id, call.body["keep"])
        return await self._changed(kind, document)

    # --- help -------------------------------------------------------------------------------------

    async def _found(self, bot_id: str) -> tuple[BotType, Document]:
        found = await self._parts.find_bot(bot_id)
        if found is None:
            raise _unknown(bot_id)
        return found

    async def _custom(self, config: Document, created: str) -> tuple[BotType, dict[str, Any]]:
        """The bot's type and the `custom` part of its document, from what was deployed."""
        kind, _, name = config["type"].partition("/")
        record = to_json(await self._repository.get_custom_bot(name, config["version"]))
        if record is None:
            raise NotFound(
                f"There is no custom bot {name!r} of version {config['version']!r}; deploy it with "
                "`the0 custom-bot deploy DIR`, or see `the0 custom-bot list`."
            )
        return BotType(kind), {
            "version": record["version"],
            "filePath": record["filePath"],
            "createdAt": created,
            "updatedAt": now_text(),
            "config": record["config"],
        }

    async def _check(self, document: Document, kind: BotType) -> None:
        """InvalidInput with every fault by path: of its schema and of the platform's own fields."""
        work = self._parts.work
        faults = await work.call(check_instance, document["config"], document["custom"])
        paths = [f"$.config{fault.removeprefix('$')}" for fault in faults]
        try:
            self._parts.parse_bot(kind, document)
        except InvalidDocument as error:
            if not paths:
                raise
            paths += [f"$.{fault}" for fault in error.faults]
        if paths:
            raise InvalidInput("The instance does not fit its custom bot", paths)

    async def _changed(self, kind: BotType, document: Document, status: int = 200) -> Answer:
        bot_id = str(document_id(document))
        told = await self._parts.roles.tell(ROLE_OF[kind], "/wake", bot_id)
        body = {
            "id": bot_id,
            "type": kind,
            "name": name_of(document),
            "version": version_of(document),
            "applies": "at once" if told else "at the next pass",
        }
        return Answer(body, status)


def _in_conflict(status: Mapping[str, Any] | None) -> bool:
    conditions = (status or {}).get("conditions", ())
    return any(one["type"] == STATE_CONFLICT and one["status"] for one in conditions)


def _unknown(bot_id: str) -> NotFound:
    return NotFound(f"There is no bot with the id {bot_id!r}; see `the0 bot list`.")
