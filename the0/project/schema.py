"""JSON Schema draft-07: whether a schema is one, and what in a value does not meet it.

Values are never repeated in a fault: they may be keys of an exchange.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from the0.models import JSON


def schema_faults(schema: JSON) -> list[str]:
    """What is wrong with `schema` itself, each by JSON path."""
    if not isinstance(schema, dict):
        return ["$: a schema is a JSON object"]
    faults = [_fault(error) for error in Draft7Validator(_META_SCHEMA).iter_errors(schema)]
    faults += [
        f"{path}.$ref: {target!r} is outside this file; only '#...' works"
        for path, target in _references("$", schema)
        if not target.startswith("#")
    ]
    # Only a sound schema can be tried, and trying shows references that lead nowhere.
    return sorted(faults) or [fault for fault in value_faults(schema, {}) if fault in _UNUSABLE]


def value_faults(schema: Mapping[str, Any], value: JSON) -> list[str]:
    """What in `value` does not meet `schema`, each by JSON path, sorted."""
    # With a registry of its own, the validator fetches nothing over the network.
    validator = Draft7Validator(schema, registry=Registry())
    try:
        return sorted({_fault(error) for error in validator.iter_errors(value)})
    except RecursionError:
        return [_ENDLESS]
    except Unresolvable:
        return [_DANGLING]


_META_SCHEMA = Draft7Validator.META_SCHEMA
_ENDLESS = "$: the schema refers to itself without end"
_DANGLING = "$: the schema has a $ref that leads nowhere"
_UNUSABLE = (_ENDLESS, _DANGLING)

# The library's words for these repeat the value in their middle; None is the schema `false`.
_NO_VALUE = {
    "additionalItems": "has more items than are allowed",
    "contains": "has no item of the kind that it must contain",
    None: "has something that the schema rules out",
}


def _fault(error: ValidationError) -> str:
    if error.validator == "required":
        # One error for each missing property, and only its message tells which.
        missing = error.message.removesuffix(" is a required property").strip("'\"")
        return f"{error.json_path}.{missing}: is required"
    return f"{error.json_path}: {_without_value(error)}"


def _without_value(error: ValidationError) -> str:
    if error.validator in _NO_VALUE:
        return _NO_VALUE[error.validator]
    return error.message.removeprefix(repr(error.instance)).strip()


def _references(path: str, node: JSON) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield path, node["$ref"]
        for name, child in node.items():
            yield from _references(f"{path}.{name}", child)
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from _references(f"{path}[{index}]", child)
