"""What comes in is checked by the schemas of the routes; no fault repeats a value."""

from __future__ import annotations

import re
from typing import Any

import pytest

from the0.api.schemas import LOGS_QUERY, NEW_BOT
from the0.api.validation import faults, query_values
from the0.errors import InvalidInput

CONFIG = {"name": "n", "type": "realtime/x", "version": "1.0.0"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"config": CONFIG}, []),
        ({"config": CONFIG, "id": "any text/with slash"}, []),
        ({}, ["$.config: is required"]),
        ([], ["$: must be object, not array"]),
        (
            {"config": {**CONFIG, "name": 7}, "id": "", "colour": "red"},
            [
                "$.config.name: must be string, not integer",
                "$.id: should be non-empty",
                "$: unknown: colour; known: config, id, enabled",
            ],
        ),
        (
            {"config": {"type": "x"}, "enabled": "yes"},
            [
                "$.config.name: is required",
                "$.config.version: is required",
                "$.config.type: does not match '^(realtime|scheduled)/.+$'",
                "$.enabled: must be boolean, not string",
            ],
        ),
    ],
)
def test_every_fault_is_told_by_its_path(body: Any, expected: list[str]) -> None:
    assert sorted(faults(NEW_BOT, body)) == sorted(expected)


def test_a_fault_never_repeats_what_may_be_secret() -> None:
    found = faults(NEW_BOT, {"config": {**CONFIG, "type": "api-key-12345"}, "id": "x" * 300})
    assert len(found) == 2
    assert not any("api-key-12345" in fault or "xxx" in fault for fault in found)


def test_the_query_string_becomes_typed_values_with_defaults() -> None:
    assert query_values(LOGS_QUERY, {}) == {"lines": 100, "follow": False}
    given = {"lines": ["7"], "follow": ["true"], "date": ["20260102"]}
    assert query_values(LOGS_QUERY, given) == {"lines": 7, "follow": True, "date": "20260102"}


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"lines": ["seven"]}, r"\$\.lines: must be integer"),
        ({"lines": ["-1"]}, r"\$\.lines"),
        ({"lines": ["--5"]}, r"\$\.lines: must be integer"),
        ({"lines": ["-"]}, r"\$\.lines: must be integer"),
        ({"lines": ["9" * 5000]}, r"\$\.lines"),
        ({"follow": ["perhaps"]}, r"\$\.follow: must be boolean"),
        ({"date": ["2026-01-02"]}, r"\$\.date"),
        ({"other": ["1"]}, r"unknown: other"),
    ],
)
def test_a_wrong_query_string_is_refused_by_name(query: dict[str, list[str]], path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        query_values(LOGS_QUERY, query)
    assert re.search(path, "\n".join(caught.value.faults))


def test_a_switch_without_a_value_is_refused_rather_than_taken_for_yes() -> None:
    schema = {"type": "object", "properties": {"purge": {"type": "boolean", "default": False}}}
    assert query_values(schema, {"purge": ["1"]}) == {"purge": True}
    with pytest.raises(InvalidInput, match="query string"):
        query_values(schema, {"purge": [""]})
