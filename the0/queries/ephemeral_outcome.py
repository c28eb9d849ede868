"""What a container's last report and result mean for who asked. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from the0.errors import Unavailable
from the0.launches import LaunchExit, LaunchStatus
from the0.queries.models import Answer, QueryFailed

HELD_UP = ("CodeUnavailable", "StateUnavailable")
"""Conditions of a container that waits for a dependency of the platform."""

_NO_HANDLER = "No handler for path: "


def hold_up(status: LaunchStatus) -> Unavailable | None:
    """Why the query cannot even begin now, by what the agent reported."""
    for one in status.conditions:
        if one.status and one.type in HELD_UP:
            return Unavailable(f"The bot's code or state cannot be had now: {one.message}")
    return None


def judge(ended: LaunchExit, conditions: Mapping[str, str], result: bytes | None) -> Answer:
    """The answer of a query process that ended; `conditions` are those that hold, by type.

    Raises QueryFailed, and Unavailable when the container was stopped from outside.
    """
    if ended.reason == "stopped":
        raise Unavailable("The query's container was stopped before it answered.")
    if ended.reason == "platform":
        why = conditions.get("CodeInvalid") or "its container could not be made ready"
        raise QueryFailed(f"The query could not be started: {why}.")
    if ended.signal is not None:
        raise QueryFailed(f"The query process was ended by signal {ended.signal}.")
    if result is None:
        too_large = conditions.get("ResultTooLarge")
        why = too_large or f"it ended with exit code {ended.code} and wrote no result.json"
        raise QueryFailed(f"The query process gave no answer: {why}.")
    return Answer(_status(ended.code, result), result)


def _status(code: int | None, result: bytes) -> int:
    if code == 0:
        return 200
    return 404 if _error_of(result).startswith(_NO_HANDLER) else 500


def _error_of(result: bytes) -> str:
    try:
        found = json.loads(result)
    except (ValueError, RecursionError):
        return ""
    return str(found.get("error", "")) if isinstance(found, dict) else ""
