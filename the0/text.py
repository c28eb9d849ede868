"""Text and JSON from outside, read strictly and shown harmlessly."""

from __future__ import annotations

import json
from typing import Any

from the0.errors import InvalidInput


def parse_json(data: bytes, what: str = "The body") -> Any:
    """The JSON value of `data`: exact integers, no NaN, no key twice, only text that is Unicode.

    Raises :class:`InvalidInput` saying of `what` what is wrong and where.
    """
    try:
        value = json.loads(data, parse_constant=_no_constant, object_pairs_hook=_unique)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError as error:
        raise InvalidInput(f"{what} is not usable JSON: it is nested too deeply.") from error
    except ValueError as error:
        raise InvalidInput(f"{what} is not usable JSON: {printable(str(error))}") from error
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, _ in pairs if [name for name, _ in pairs].count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def bearer_token(text: str) -> str:
    """`text` without the blanks around it, if a header can carry it as a token.

    Raises ValueError, in whose words the text does not stand: it is secret.
    """
    token = text.strip()
    if not (token and token.isascii() and token.isprintable()):
        raise ValueError("one line of printable ASCII characters")
    return token


def printable(text: str, limit: int = 300) -> str:
    """Text from outside as one harmless line: everything unprintable escaped, long text cut."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= limit else shown[:limit] + "…"
