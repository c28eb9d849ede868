"""Which fields of an object a JSON Schema speaks of, in whichever of its parts. Pure.

The schema may be anything that a document holds: what is none speaks of nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from the0.models import JSON

_ONE = ("if", "then", "else")
_SEVERAL = ("allOf", "anyOf", "oneOf")


def described(schema: JSON) -> frozenset[str]:
    """The fields that `schema` describes."""
    return frozenset(
        name
        for part in _parts(schema)
        if isinstance(part.get("properties"), Mapping)
        for name in part["properties"]
    )


def demanded(schema: JSON) -> frozenset[str]:
    """The fields that `schema` requires, perhaps under a condition."""
    return frozenset(
        name
        for part in _parts(schema)
        if isinstance(part.get("required"), list)
        for name in part["required"]
        if isinstance(name, str)
    )


def _parts(schema: JSON) -> Iterator[Mapping[str, Any]]:
    """Everything in `schema` that is about the object itself, each once."""
    waiting, seen = [schema], set()
    while waiting:
        part = waiting.pop()
        if not isinstance(part, Mapping) or id(part) in seen:
            continue
        seen.add(id(part))
        if "$ref" in part:  # in draft-07 nothing beside a reference counts
            waiting.append(_target(schema, part["$ref"]))
            continue
        yield part
        waiting += [part.get(word) for word in _ONE]
        waiting += [one for word in _SEVERAL for one in _list(part.get(word))]


def _list(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else []


def _target(schema: JSON, reference: JSON) -> JSON:
    """What a reference inside `schema` points to, None where that is nothing."""
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found = schema
    for step in unquote(reference[2:]).split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping):
            found = found.get(name)
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return found
