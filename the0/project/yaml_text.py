"""YAML of strangers as plain JSON values: small, without aliases, each key once."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import yaml

MAX_BYTES = 64 * 1024


def read_yaml(content: bytes) -> Any:
    """The JSON value that `content` describes; dates become text. Raises ValueError saying why it
    describes none."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is over {MAX_BYTES} bytes")
    try:
        value = yaml.load(content, _Loader)  # noqa: S506 - a SafeLoader
        return json.loads(json.dumps(value, default=_text))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _text(value: object) -> str:
    if isinstance(value, date):
        return str(value)
    raise ValueError(f"it has a value of the type {type(value).__name__}, which JSON does not know")


class _Loader(yaml.SafeLoader):
    """Refuses aliases: a small file with nested ones describes gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not supported")
        return super().compose_node(parent, index)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # The library stumbles over, say, `!!bool foo`.
            kind = node.tag.rpartition(":")[2]
            raise yaml.YAMLError(f"line {_line(node)}: this is no {kind} of YAML") from error

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in names:
                    raise yaml.YAMLError(f"line {_line(key)}: the key {key.value!r} stands twice")
                names.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        for name in mapping:
            if not isinstance(name, str | int | float | None):
                text = f"the key {str(name)!r} is a {type(name).__name__}; put it in quotes"
                raise yaml.YAMLError(f"line {_line(node)}: {text}")
        return mapping


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1
