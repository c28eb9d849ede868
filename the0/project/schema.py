"""JSON Schema draft-07: whether a schema is one, and what in a value does not meet it.

Values are never repeated in a fault: they may be keys of an exchange. A stranger's schema may
compute for ever, so this file is also the program that :mod:`the0.project.schema_process` starts;
for that it imports nothing of the platform.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft7Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

JSON = Any
CPU_SEC = 3
MEMORY_BYTES = 1 << 30
TOO_COSTLY = 3
"""The exit code of this program when memory ran out; when its time did, the kernel kills it."""


def schema_faults(schema: JSON) -> list[str]:
    """What is wrong with `schema` itself, each by JSON path."""
    if not isinstance(schema, dict):
        return ["$: a schema is a JSON object"]
    validator = Draft7Validator(Draft7Validator.META_SCHEMA, format_checker=_PATTERNS)
    faults = [_fault(error) for error in validator.iter_errors(schema)]
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
    except (TypeError, AttributeError):
        return [_NO_SCHEMA]
    except OverflowError:
        return ["$: a number is too large for what the schema asks of it"]
    except re.error as error:
        return [f"$: the schema asks for a pattern: {_no_pattern(error.pattern, error)}"]


_ENDLESS = "$: the schema refers to itself without end"
_DANGLING = "$: the schema has a $ref that leads nowhere"
_NO_SCHEMA = "$: the schema has a $ref to something that is no schema"
_UNUSABLE = (_ENDLESS, _DANGLING, _NO_SCHEMA)

_PATTERNS = FormatChecker(formats=())


@_PATTERNS.checks("regex", raises=(re.error, OverflowError, RecursionError))
def _compiles(pattern: object) -> bool:
    return not isinstance(pattern, str) or bool(re.compile(pattern))


def _no_pattern(pattern: object, error: object) -> str:
    return f"{pattern!r} is no regular expression in Python's syntax, which counts here: {error}"


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
    if error.validator == "format":
        return f"{error.json_path}: {_no_pattern(error.instance, error.cause)}"
    subject = "the name of a field " if _is_about_a_name(error) else ""
    return f"{error.json_path}: {subject}{_without_value(error)}"


def _is_about_a_name(error: ValidationError) -> bool:
    path = [*error.absolute_schema_path]
    return any(
        step == "propertyNames" and before not in ("properties", "definitions")
        for before, step in zip([None, *path], path, strict=False)
    )


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


def main() -> None:
    """Answer ``[schema]`` or ``[schema, value]`` on stdin with the faults on stdout, as JSON."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SEC, CPU_SEC + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        schema, *values = json.load(sys.stdin)
        faults = value_faults(schema, values[0]) if values else schema_faults(schema)
        json.dump(faults, sys.stdout)
    except MemoryError:
        sys.exit(TOO_COSTLY)


if __name__ == "__main__":
    main()
