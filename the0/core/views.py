"""RunningBot and what is remembered of a bot, as JSON and back: for `/status` and MongoDB.

Times are ISO 8601 in UTC. Reading back ignores fields that it does not know, so that an older
host can read what a newer one wrote.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from the0.core.tracked import Tracked
from the0.models import BotType, Condition, ExitRecord, Phase, Run, RunningBot

_PLAIN = frozenset({str, int, float, bool, BotType, Phase})


def running_bot_json(bot: RunningBot) -> dict[str, Any]:
    """A RunningBot with plain JSON values."""
    return {name: _plain(getattr(bot, name)) for name in _names(RunningBot)}


def running_bot(data: Mapping[str, Any]) -> RunningBot:
    """The opposite of :func:`running_bot_json`."""
    known = _known(RunningBot, data)
    last = known.get("last_exit")
    return RunningBot(
        **known
        | {
            "type": BotType(known["type"]),
            "phase": Phase(known["phase"]),
            "started_at": _time(known.get("started_at")),
            "next_attempt_at": _time(known.get("next_attempt_at")),
            "conditions": _conditions(known),
            "last_exit": exit_record(last) if last else None,
            "exits": _exits(known),
        }
    )


def run_json(run: Run) -> dict[str, Any]:
    """A Run with plain JSON values."""
    return {name: _plain(getattr(run, name)) for name in _names(Run)}


def condition_json(condition: Condition) -> dict[str, Any]:
    return {name: _plain(getattr(condition, name)) for name in _names(Condition)}


def condition(data: Mapping[str, Any]) -> Condition:
    return Condition(**_known(Condition, data) | {"since": datetime.fromisoformat(data["since"])})


def exit_record(data: Mapping[str, Any]) -> ExitRecord:
    known = _known(ExitRecord, data)
    changed = {"at": datetime.fromisoformat(data["at"]), "log_tail": tuple(data["log_tail"])}
    return ExitRecord(**known | changed)


def tracked_json(tracked: Tracked) -> dict[str, Any]:
    return {name: _plain(getattr(tracked, name)) for name in _names(Tracked)}


def tracked(data: Mapping[str, Any]) -> Tracked:
    """The opposite of :func:`tracked_json`."""
    known = _known(Tracked, data)
    return Tracked(
        **known
        | {
            "next_attempt_at": _time(known.get("next_attempt_at")),
            "conditions": _conditions(known),
            "exits": _exits(known),
        }
    )


def _conditions(data: Mapping[str, Any]) -> tuple[Condition, ...]:
    return tuple(condition(one) for one in data.get("conditions", ()))


def _exits(data: Mapping[str, Any]) -> tuple[ExitRecord, ...]:
    return tuple(exit_record(one) for one in data.get("exits", ()))


def _time(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


@cache
def _names(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls))


def _known(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in _names(cls) if name in data}


def _plain(value: Any) -> Any:
    if value is None or type(value) in _PLAIN:
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(getattr(value, name)) for name in _names(type(value))}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
