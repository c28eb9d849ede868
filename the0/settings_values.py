"""One setting's value: from what was given to its type, within its bounds. Pure."""

from __future__ import annotations

import math
import re
import tomllib
from typing import Any

from the0.settings import Declaration

_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")


def read_value(declaration: Declaration, kind: Any, given: Any) -> Any:
    """`given` (a TOML value, or text from the environment) as `kind`: str, int, float, bool or
    tuple[str, ...]. Raises ValueError saying what is allowed."""
    try:
        value = declaration.parse(given) if declaration.parse else _READERS[kind](given)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(_allowed(declaration, kind, error)) from None
    if not _within(declaration, value):
        raise ValueError(_allowed(declaration, kind, None))
    return value


def type_name(kind: Any) -> str:
    """What a person calls the type."""
    return _NAMES[kind]


def bounds(declaration: Declaration) -> str:
    """`from 1 to 9`, `of at least 1`, `one of a, b`, or nothing."""
    low, high = declaration.minimum, declaration.maximum
    if declaration.choices:
        return "one of " + ", ".join(declaration.choices)
    if low is not None and high is not None:
        return f"from {low:.15g} to {high:.15g}"
    if low is not None:
        return f"of at least {low:.15g}"
    return f"of at most {high:.15g}" if high is not None else ""


def shown(declaration: Declaration | None, value: Any) -> str:
    """A value for people: secrets masked, also passwords inside URIs."""
    if declaration is not None and declaration.secret:
        return "***"
    return mask(repr(value))[:120]


def mask(text: str) -> str:
    """`text` with the credentials of every URI in it replaced by `***`."""
    return re.sub(r"(\w+://)[^/\s@]+(?:/[^/\s@]*)*@", r"\1***@", text)


def _allowed(declaration: Declaration, kind: Any, error: Exception | None) -> str:
    if declaration.parse and isinstance(error, ValueError):
        return f"must be {error}"
    kind_words = "" if declaration.choices else type_name(kind)
    return " ".join(filter(None, ("must be", kind_words, bounds(declaration))))


def _within(declaration: Declaration, value: Any) -> bool:
    if declaration.choices and value not in declaration.choices:
        return False
    if declaration.minimum is not None and value < declaration.minimum:
        return False
    return declaration.maximum is None or bool(value <= declaration.maximum)


def _text(given: Any) -> str:
    if isinstance(given, str):
        return given
    raise ValueError


def _whole(given: Any) -> int:
    if isinstance(given, str) and re.fullmatch(r"\s*[+-]?\d{1,18}\s*", given):
        return int(given)
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    raise ValueError


def _number(given: Any) -> float:
    if isinstance(given, str | int | float) and not isinstance(given, bool):
        value = float(given)
        if math.isfinite(value):
            return value
    raise ValueError


def _switch(given: Any) -> bool:
    if isinstance(given, bool):
        return given
    text = given.strip().lower() if isinstance(given, str) else ""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError


def _texts(given: Any) -> tuple[str, ...]:
    if isinstance(given, str):
        given = _split(given)
    if isinstance(given, list | tuple) and all(isinstance(item, str) for item in given):
        return tuple(given)
    raise ValueError


def _split(text: str) -> Any:
    if text.lstrip().startswith("["):
        return tomllib.loads(f"list = {text}")["list"]
    return [item.strip() for item in text.split(",") if item.strip()]


_READERS: dict[Any, Any] = {
    str: _text,
    int: _whole,
    float: _number,
    bool: _switch,
    tuple[str, ...]: _texts,
}
_NAMES: dict[Any, str] = {
    str: "a text (in quotes)",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple[str, ...]: "a list of texts",
}
