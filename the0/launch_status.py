"""What the agent inside a container reports: how far it is, what is wrong, how it ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from the0.errors import InvalidInput
from the0.models import JSON

PHASES = ("starting", "fetching", "restoring", "running", "stopping", "syncing", "ended")
EXIT_REASONS = ("exited", "stopped", "disk", "platform")


@dataclass(frozen=True)
class ReportedCondition:
    """A condition in the agent's words; the runner adds since when it holds."""

    type: str
    status: bool
    reason: str
    message: str


@dataclass(frozen=True)
class LaunchExit:
    """How the bot's process ended: `code` is 128+n for signal n, None when it never ran;
    `state_saved` tells whether the final sync got everything into the store."""

    code: int | None
    signal: int | None
    reason: str
    peak_memory_bytes: int | None
    state_saved: bool


@dataclass(frozen=True)
class LaunchStatus:
    """What the agent of one launch reported last."""

    phase: str
    conditions: Sequence[ReportedCondition] = ()
    exit: LaunchExit | None = None
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def to_json(self) -> dict[str, JSON]:
        return {**dataclasses.asdict(self), "time": self.time.isoformat()}


def parse_status(data: JSON, time: datetime | None = None) -> LaunchStatus:
    """A status as the agent sends it, or as the file holds it (then with its own `time`).

    Raises InvalidInput naming the field that cannot be understood. Unknown fields are ignored.
    """
    try:
        return LaunchStatus(
            phase=_one_of(PHASES, data["phase"]),
            conditions=tuple(_condition(one) for one in data.get("conditions", ())),
            exit=None if data.get("exit") is None else _exit(data["exit"]),
            time=time or datetime.fromisoformat(data["time"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidInput(f"not a launch status: {error!r}") from error


def _condition(data: Mapping[str, Any]) -> ReportedCondition:
    return ReportedCondition(
        type=_text(data["type"], 64),
        status=data["status"] is True,
        reason=_text(data.get("reason", ""), 64),
        message=_text(data.get("message", ""), 2000),
    )


def _exit(data: Mapping[str, Any]) -> LaunchExit:
    return LaunchExit(
        code=_integer(data.get("code")),
        signal=_integer(data.get("signal")),
        reason=_one_of(EXIT_REASONS, data["reason"]),
        peak_memory_bytes=_integer(data.get("peak_memory_bytes")),
        state_saved=data.get("state_saved") is True,
    )


def _one_of(allowed: Sequence[str], value: object) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{value!r} is none of {', '.join(allowed)}")
    return value


def _text(value: object, limit: int) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value[:limit]


def _integer(value: object) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise TypeError(f"{value!r} is not an integer")
