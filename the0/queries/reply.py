"""From what a bot's query program answered to what the caller gets. Pure.

The bytes of the data pass through unchanged where the answer has the SDK's form, so that numbers
stay what they are; the answer is parsed all the same, because it has to be JSON.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from the0.errors import NotFound
from the0.queries.models import Answer, QueryFailed
from the0.text import printable

MAX_TOLD = 1000
"""Characters of a bot's own words that reach an error text."""

_OK_STATUSES = range(200, 300)
_REDIRECTS = range(300, 400)
_UNKNOWN_PATH = 404
_SDK_FIELDS = {"status", "data"}


def reply(answer: Answer, duration_ns: int, at: datetime) -> bytes:
    """The body of a 200: `{"status":"ok","data":…,"duration":…,"timestamp":…}`.

    Raises NotFound when the bot does not know the path, QueryFailed for every other answer that
    is not a good one, with the bot's own words made harmless.
    """
    if answer.status in _REDIRECTS:
        raise QueryFailed(f"The bot answered {answer.status}; redirects are not followed.")
    if answer.status == _UNKNOWN_PATH:
        raise NotFound(f"The bot does not know this query: {_words(answer)}")
    if answer.status not in _OK_STATUSES:
        raise QueryFailed(_words(answer))
    value = _parsed(answer.body)
    if isinstance(value, dict) and value.get("status") == "error":
        raise QueryFailed(_words(answer))
    stamp = f'"duration":{duration_ns},"timestamp":"{rfc3339(at)}"}}'.encode()
    return _begun(answer.body, value) + b"," + stamp


def rfc3339(at: datetime) -> str:
    """A time as answers carry it: UTC, milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _begun(body: bytes, value: Any) -> bytes:
    """The reply's object, as far as its data, without the closing brace."""
    if not isinstance(value, dict) or value.get("status") != "ok":
        return b'{"status":"ok","data":' + body.strip()
    if value.keys() <= _SDK_FIELDS:
        return body.rstrip()[:-1]
    data = json.dumps(value.get("data"), ensure_ascii=True, separators=(",", ":"))
    return b'{"status":"ok","data":' + data.encode()


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else printable(str(error))
        raise QueryFailed(f"The bot's answer is not usable JSON: {why}") from error


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _words(answer: Answer) -> str:
    """What the bot says of an answer that is no good one."""
    try:
        value = _parsed(answer.body)
    except QueryFailed:
        value = None
    error = value.get("error") if isinstance(value, dict) else None
    if not isinstance(error, str) or not error:
        return f"The query program answered {answer.status} and did not say why."
    known = value.get("available")
    if isinstance(known, list) and known:
        error += f" (available: {', '.join(map(str, known))})"
    return printable(error, MAX_TOLD)
