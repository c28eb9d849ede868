"""How settings of a form of their own are read.

Each takes what was given (a TOML value or text) and raises ValueError with the words that follow
"must be".
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from the0.text import bearer_token

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|s|m|h|d)")


def seconds(value: Any) -> float:
    """A duration: a number of seconds, or text like `500ms`, `30s`, `1m30s`, `2h`, `1d`."""
    if isinstance(value, str):
        return _duration_text(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a duration in seconds, or text like '30s' or '5m'")
    return float(value)


def _duration_text(text: str) -> float:
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    if re.fullmatch(r"\d+(\.\d*)?|\.\d+", text):
        return float(text)
    raise ValueError("a duration in seconds, or text like '30s' or '5m'")


def instance_name(value: Any) -> str:
    """A name that can be part of container, network and firewall names."""
    if isinstance(value, str) and re.fullmatch(
        r"[A-Za-z0-9]([A-Za-z0-9-]{0,22}[A-Za-z0-9])?", value
    ):
        return value
    raise ValueError("1 to 24 letters, digits and dashes, with no dash at either end")


def absolute_path(value: Any) -> str:
    """Empty, or an absolute path; `~` is the home directory."""
    if value == "":
        return ""
    if isinstance(value, str) and "\0" not in value:
        with suppress(RuntimeError):  # ~ of a user that is not there
            path = Path(value).expanduser()
            if path.is_absolute():
                return str(path)
    raise ValueError("an absolute path, or empty for the default")


def mongo_uri(value: Any) -> str:
    """Empty, or a MongoDB connection string."""
    return _with_scheme(value, ("mongodb", "mongodb+srv"))


def nats_url(value: Any) -> str:
    """Empty, or one or more NATS addresses, with commas between them."""
    if isinstance(value, str):
        return ",".join(
            _with_scheme(u.strip(), ("nats", "tls", "ws", "wss")) for u in value.split(",")
        )
    return _with_scheme(value, ("nats", "tls", "ws", "wss"))


def _with_scheme(value: Any, schemes: Sequence[str]) -> str:
    if isinstance(value, str):
        scheme, found, rest = value.partition("://")
        if not value or (found and rest and scheme in schemes):
            return value
    raise ValueError("an address that begins with " + " or ".join(f"{s}://" for s in schemes))


def bucket(value: Any) -> str:
    """A bucket's name by the rules that all S3 servers share."""
    if isinstance(value, str) and re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value):
        return value
    raise ValueError("a bucket name: 3 to 63 lower-case letters, digits, dots and dashes")


def database_name(value: Any) -> str:
    """A MongoDB database for the platform alone."""
    plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,38}", value)
    if plain and value not in ("bot_runner", "bot_scheduler", "admin", "local", "config"):
        return str(value)
    raise ValueError("the name of a database that nothing else uses, like 'the0'")


def address(value: Any) -> str:
    """An IP address or host name to listen on."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9.:_-]{1,253}", value):
        return value
    raise ValueError("an IP address or a host name")


def api_token(value: Any) -> str:
    """Empty, or a token; what blanks alone make is no token but a mistake."""
    if isinstance(value, str):
        return value and bearer_token(value)
    raise ValueError("one line of printable ASCII characters, or empty")


def addresses(value: Any) -> tuple[str, ...]:
    """A list of networks (`10.1.2.0/24`) and of endpoints (`10.1.2.3`, `10.1.2.3:443`)."""
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not all(isinstance(item, str) for item in given):
        raise ValueError("a list of addresses")
    return tuple(_reachable(item.strip()) for item in given if item.strip())


def _reachable(text: str) -> str:
    network, colon, port = text.partition(":")
    try:
        ipaddress.IPv4Network(network, strict=False)
    except ValueError:
        raise ValueError(f"a list like 10.1.2.0/24 or 10.1.2.3:443; {text!r} is neither") from None
    if colon and not (port.isdecimal() and 0 < int(port) <= 65535):
        raise ValueError(f"a list like 10.1.2.0/24 or 10.1.2.3:443; {text!r} has no such port")
    return text
