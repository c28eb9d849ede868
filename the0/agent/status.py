"""What the agent reports about a launch."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

_LONGEST_MESSAGE = 2000


class Condition(NamedTuple):
    """Something that is, or is no longer, wrong. `subject` is what the message is about, where the
    message may change while that stays the same; it is not reported."""

    type: str
    status: bool
    reason: str = ""
    message: str = ""
    subject: str = ""

    @property
    def _topic(self) -> tuple[bool, str, str]:
        return self.status, self.reason, self.subject or self.message

    def differs_from(self, other: Condition) -> bool:
        """Whether it is worth a line in the log after `other`."""
        return self._topic != other._topic

    def document(self) -> dict[str, Any]:
        return {name: value for name, value in self._asdict().items() if name != "subject"}


class News(Enum):
    """What a condition is to those who know the last one of its type."""

    NONE = "known"
    DETAIL = "the same with other words: to be reported, not to be said again"
    CHANGE = "to be said"


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

    def take(self, condition: Condition) -> News:
        """Take a condition over. One that never held is not reported."""
        # A message may name a file of the bot, whose name need not be text.
        message = condition.message.encode(errors="replace").decode()
        condition = condition._replace(message=message[:_LONGEST_MESSAGE])
        before = self._conditions.get(condition.type)
        if before == condition or (before is None and not condition.status):
            return News.NONE
        self._conditions[condition.type] = condition
        changed = before is None or condition.differs_from(before)
        return News.CHANGE if changed else News.DETAIL

    def document(self) -> dict[str, Any]:
        """The body of `POST /v1/status`."""
        return {
            "phase": self.phase,
            "conditions": [condition.document() for condition in self._conditions.values()],
            "exit": self.exit._asdict() if self.exit else None,
        }
