"""Bot documents as the API shows them, whatever they hold, and what an update may change. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from the0.documents import document_id, is_enabled
from the0.errors import Conflict, InvalidDocument
from the0.models import BotType
from the0.project import check_update
from the0.repository import RawDocument
from the0.values import to_json

Document = Mapping[str, Any]


def readable(documents: Iterable[RawDocument]) -> Iterator[Document]:
    """Those that can be decoded and have an id; the runner tells of the others."""
    for raw in documents:
        with suppress(InvalidDocument):
            document = raw.decode()
            if document_id(document) is not None:
                yield document


def summary(kind: BotType, document: Document, statuses: Mapping[str, Any]) -> dict[str, Any]:
    """One bot in the list, with its status by id where there is one."""
    about = custom_part(document).get("config")
    bot_id = str(document_id(document))
    return {
        "id": bot_id,
        "name": name_of(document),
        "type": kind,
        "custom_bot": str(about.get("name", "")) if isinstance(about, Mapping) else "",
        "version": version_of(document),
        "enabled": is_enabled(document),
        "status": statuses.get(bot_id),
    }


def leaving(kind: BotType, status: Mapping[str, Any]) -> dict[str, Any]:
    """A bot whose document is gone, but which the runner has not done with yet."""
    return {
        "id": status["id"],
        "name": status.get("name") or status["id"],
        "type": kind,
        "custom_bot": "",
        "version": status.get("version") or "",
        "enabled": False,
        "status": status,
    }


def name_of(document: Document) -> str:
    """The instance's name, else the bot's id."""
    config = document.get("config")
    name = config.get("name") if isinstance(config, Mapping) else None
    return name if isinstance(name, str) and name else str(document_id(document))


def version_of(document: Document) -> str:
    """The version of its custom bot, empty where it has none."""
    version = custom_part(document).get("version")
    return version if isinstance(version, str) else ""


def custom_part(document: Document) -> Document:
    """Its `custom`, empty where that is no object."""
    custom = document.get("custom")
    return custom if isinstance(custom, Mapping) else {}


def plain(value: Any) -> Any:
    """JSON; None for what it cannot say, of which the condition InvalidDocument tells."""
    try:
        return to_json(value)
    except InvalidDocument:
        return None


def check_step(kind: BotType, before: Document, new_kind: BotType, custom: Document) -> None:
    """Raises Conflict where an update would make another bot of it, or is a major step."""
    about = before.get("config")
    old_name = about.get("name") if isinstance(about, Mapping) else None
    if kind != new_kind or old_name != custom["config"]["name"]:
        raise Conflict(
            f"This bot is an instance of {kind}/{old_name}, and stays one; "
            "deploy the other as a new bot."
        )
    version = before.get("version") or (
        about.get("version") if isinstance(about, Mapping) else None
    )
    if not isinstance(version, str):
        raise Conflict(
            "This bot's document names no version (custom.version), so nobody can tell whether its "
            "configuration and state fit; deploy it as a new bot, then delete this one."
        )
    check_update(version, custom["version"])
