"""What the agent reports about a launch."""

from __future__ import annotations

from typing import Any, NamedTuple

_LONGEST_MESSAGE = 2000


class Condition(NamedTuple):
    """Something that is, or is no longer, wrong."""

    type: str
    status: bool
    reason: str = ""
    message: str = ""


class Exit(NamedTuple):
    """How a launch ended: `reason` is `exited`, `stopped`, `disk` or `platform`; `code` and
    `signal` are those of the bot's process, where there was one."""

    code: int | None
    signal: int | None
    reason: str
    peak_memory_bytes: int | None = None
    state_saved: bool = True


class Status:
    """The report as it is now."""

    def __init__(self) -> None:
        self.phase = "starting"
        self.exit: Exit | None = None
        self._conditions: dict[str, Condition] = {}

    def take(self, condition: Condition) -> bool:
        """Take a condition over; whether this is news. One that never held is not reported."""
        # A message may name a file of the bot, whose name need not be text.
        message = condition.message.encode(errors="replace").decode()
        condition = condition._replace(message=message[:_LONGEST_MESSAGE])
        before = self._conditions.get(condition.type)
        if before == condition or (before is None and not condition.status):
            return False
        self._conditions[condition.type] = condition
        return True

    def document(self) -> dict[str, Any]:
        """The body of `POST /v1/status`."""
        return {
            "phase": self.phase,
            "conditions": [condition._asdict() for condition in self._conditions.values()],
            "exit": self.exit._asdict() if self.exit else None,
        }
