"""A question to a bot, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from the0.errors import The0Error
from the0.models import JSON


@dataclass(frozen=True)
class Query:
    """What somebody asks a bot; `path` begins with a slash, `timeout_sec` is the caller's."""

    bot_id: str
    path: str
    params: Mapping[str, JSON] = field(default_factory=dict)
    timeout_sec: float = 30.0


@dataclass(frozen=True)
class Answer:
    """What the bot's query program answered: `status` in HTTP's words, `body` as it came, which
    nobody has looked at yet."""

    status: int
    body: bytes


class QueryFailed(The0Error):
    """The bot's query program gave no usable answer."""

    code = "query_failed"
