"""Values of documents between BSON and JSON, exact both ways. Pure.

JSON integers stay integers: beyond 64 bits they are stored as Decimal128, which holds 34 digits.
What only BSON knows (dates, ids, binaries) becomes text on its way to a bot.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from bson import Binary, DBRef, Decimal128, MaxKey, MinKey, ObjectId, Regex, Timestamp

from the0.errors import InvalidDocument
from the0.models import JSON

MAX_DEPTH = 64
MAX_DIGITS = 34
_INT64 = range(-(2**63), 2**63)


def to_json(value: Any, path: str = "document") -> JSON:
    """`value` (as decoded from BSON or JSON) as plain JSON values.

    Raises InvalidDocument naming the path for NaN and infinities, integers of more than 34
    digits, nesting deeper than 64, and types that have no JSON form.
    """
    return _to_json(value, path, 0)


def to_bson(document: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON document as MongoDB can store it, integers exact.

    Raises InvalidDocument naming the path for what no BSON document can hold.
    """
    stored: dict[str, Any] = _to_bson(document, "document", 0)
    return stored


def config_json(config: Mapping[str, Any]) -> str:
    """A bot's configuration as JSON text, integers exact. Raises as :func:`to_json` does."""
    plain = to_json(config, "config")
    return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def read_time(value: Any) -> datetime | None:
    """A time as documents carry it (BSON date, ISO 8601 text) in UTC, cut to the milliseconds
    that BSON keeps; None when it cannot be read. Without an offset it is taken as UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        utc = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        return None
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def _to_json(value: Any, path: str, depth: int) -> JSON:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _encodable(str(value), path)
    if isinstance(value, int):
        return _integer(int(value), path)
    if isinstance(value, float):
        return _finite(value, path)
    if isinstance(value, DBRef):  # what BSON makes of every object with `$ref` and `$id`
        value = value.as_doc()
    if isinstance(value, Mapping | list | tuple):
        return _container(value, path, depth, _to_json)
    return _bson_only(value, path)


def _to_bson(value: Any, path: str, depth: int) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        exact = _integer(value, path)
        return exact if exact in _INT64 else Decimal128(Decimal(exact))
    if isinstance(value, str):
        return _encodable(value, path)
    if isinstance(value, float):
        return _finite(value, path)
    if isinstance(value, Mapping | list | tuple):
        return _container(value, path, depth, _to_bson)
    return value


def _container(value: Any, path: str, depth: int, convert: Any) -> Any:
    if depth >= MAX_DEPTH:
        raise InvalidDocument(f"{path} is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return {
            _key(key, path): convert(item, f"{path}.{key}", depth + 1)
            for key, item in value.items()
        }
    return [convert(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]


def _key(key: Any, path: str) -> str:
    if not isinstance(key, str):
        raise InvalidDocument(f"{path} has the key {key!r}, which is no text")
    if "\0" in key:
        raise InvalidDocument(f"{path} has a key with a NUL character in it: {key!r}")
    return _encodable(key, path)


def _encodable(text: str, path: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidDocument(f"{path} holds text that is not valid Unicode") from None
    return text


def _integer(value: int, path: str) -> int:
    if abs(value) >= 10**MAX_DIGITS:
        raise InvalidDocument(f"{path} is an integer of more than {MAX_DIGITS} digits")
    return value


def _finite(value: float, path: str) -> float:
    if not math.isfinite(value):
        raise InvalidDocument(f"{path} is {value}, which JSON cannot say")
    return value


def _bson_only(value: Any, path: str) -> JSON:
    if isinstance(value, Decimal128):
        return _decimal(value.to_decimal(), path)
    if isinstance(value, datetime):
        return _time_text(value)
    if isinstance(value, Timestamp):
        return _time_text(value.as_datetime())
    if isinstance(value, Binary | bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Regex):
        return str(value.pattern)
    if isinstance(value, ObjectId | UUID | MinKey | MaxKey):
        return str(value)
    raise InvalidDocument(f"{path} is of the type {type(value).__name__}, which JSON cannot say")


def _time_text(value: datetime) -> str:
    utc = value.replace(tzinfo=UTC) if value.tzinfo is None else value
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _decimal(value: Decimal, path: str) -> JSON:
    if not value.is_finite():
        raise InvalidDocument(f"{path} is {value}, which JSON cannot say")
    return int(value) if value.as_tuple().exponent == 0 else str(value)
