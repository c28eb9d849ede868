"""Which bot a person means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from the0.cli.client import ApiClient, segment
from the0.errors import Conflict, NotFound

BOT_ARGUMENT = click.argument("ref", metavar="BOT")

_SHOWN = 10


def bot_path(bot_id: str) -> str:
    """The path of a bot below `/api/v1`."""
    return f"/bots/{segment(bot_id)}"


def find_bot(api: ApiClient, ref: str) -> str:
    """The id of the bot that `ref` names; see :func:`choose`."""
    bots: Sequence[Mapping[str, Any]] = api.get("/bots")["bots"]
    return choose(bots, ref)


def choose(bots: Sequence[Mapping[str, Any]], ref: str) -> str:
    """The id of the one bot whose id is `ref`, else whose name is, else whose id begins so.

    Raises NotFound for none, Conflict with the candidates for several.
    """
    readings = (
        [bot for bot in bots if bot["id"] == ref],
        [bot for bot in bots if bot["name"] == ref],
        [bot for bot in bots if ref and bot["id"].startswith(ref)],
    )
    for found in readings:
        if len(found) == 1:
            return str(found[0]["id"])
        if found:
            some = ", ".join(f"{bot['id']} ({bot['name']})" for bot in found[:_SHOWN])
            more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            raise Conflict(f"{ref!r} names {len(found)} bots: {some}{more}. Give the id.")
    raise NotFound(f"There is no bot {ref!r}; see `the0 bot list`.")
