"""Checks what comes in against the JSON Schemas of the routes; every fault by its path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from the0.errors import InvalidInput

Schema = Mapping[str, Any]

_SHOWN_FAULTS = 50


def check(schema: Schema, value: Any, what: str) -> None:
    """Raises InvalidInput with every fault (the first 50) of `value`; `what` names it."""
    found = faults(schema, value)
    if found:
        raise InvalidInput(
            f"{what} has {len(found)} fault{'s' * (len(found) > 1)}", found[:_SHOWN_FAULTS]
        )


def faults(schema: Schema, value: Any) -> list[str]:
    """One line a fault, `$.config.name: …`, sorted."""
    errors = Draft202012Validator(schema).iter_errors(value)
    return sorted(_fault(error) for error in errors)


def _fault(error: ValidationError) -> str:
    # jsonschema repeats the value in its text, which may be secret: what is expected is what helps.
    schema: Any = error.schema
    instance: Any = error.instance
    where, expected = error.json_path, schema.get(error.validator)
    match error.validator:
        case "required":
            # One error for each missing field, and only its message tells which.
            missing = next(name for name in expected if error.message.startswith(repr(name)))
            return f"{where}.{missing}: is required"
        case "type":
            wanted = expected if isinstance(expected, str) else " or ".join(expected)
            return f"{where}: must be {wanted}, not {json_type(instance)}"
        case "additionalProperties":
            known = schema.get("properties", {})
            unknown = sorted(set(instance) - set(known))
            return f"{where}: unknown: {', '.join(unknown)}; known: {', '.join(known)}"
        case "enum":
            return f"{where}: must be one of {', '.join(map(str, expected))}"
        case _:
            return f"{where}: {error.message.replace(repr(instance), '').strip()}"


def json_type(value: Any) -> str:
    """The JSON Schema name of a value's type."""
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    return names.get(type(value), "array" if isinstance(value, list) else "object")


def query_values(schema: Schema, given: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Query parameters as the types that `schema` (an object) declares, with its defaults.

    Raises InvalidInput with every fault.
    """
    properties: Mapping[str, Any] = schema.get("properties", {})
    if not given and not properties:
        return {}
    values: dict[str, Any] = {
        name: declared["default"] for name, declared in properties.items() if "default" in declared
    }
    for name, texts in given.items():
        values[name] = _typed(properties.get(name, {}).get("type"), texts[-1])
    check(schema, values, "The query string")
    return values


def _typed(kind: str | None, text: str) -> Any:
    if kind == "integer" and text.isascii() and text.removeprefix("-").isdigit() and len(text) < 20:
        return int(text)
    if kind == "boolean":
        return {"true": True, "1": True, "false": False, "0": False}.get(text, text)
    return text
