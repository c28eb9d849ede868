"""Schemas of strangers: whatever they compute ends soon, and lets the host go on meanwhile."""

import subprocess

import pytest

from the0.errors import InvalidDocument
from the0.project.schema_process import schema_faults, value_faults

ENDLESS_PATTERN = {"properties": {"a": {"pattern": "^(a+)+$"}}}
DOUBLED = {f"d{i}": {"allOf": [{"$ref": f"#/definitions/d{i + 1}"}] * 2} for i in range(60)}


def test_faults_are_those_of_the_schema() -> None:
    assert value_faults(ENDLESS_PATTERN, {"a": "b"}) == ["$.a: does not match '^(a+)+$'"]
    assert value_faults(ENDLESS_PATTERN, {"a": "aaa"}) == []
    assert schema_faults({"type": "strng"}) != []
    assert schema_faults(ENDLESS_PATTERN) == []


def test_integers_are_exact() -> None:
    schema = {"const": 2**60 + 1}
    assert value_faults(schema, 2**60 + 1) == []
    assert value_faults(schema, 2**60) == [f"$: {2**60 + 1} was expected"]


def test_a_pattern_without_end_is_ended() -> None:
    with pytest.raises(InvalidDocument, match="over 3 seconds"):
        value_faults(ENDLESS_PATTERN, {"a": "a" * 60 + "!"})


def test_a_schema_without_end_is_a_fault_of_it() -> None:
    schema = {"$ref": "#/definitions/d0", "definitions": {**DOUBLED, "d60": {}}}
    (fault,) = schema_faults(schema)
    assert fault.startswith("$: the schema needs over 3 seconds")


def test_one_that_gives_its_processor_away_is_ended_by_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sleeps(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("x", 10)

    monkeypatch.setattr(subprocess, "run", sleeps)
    with pytest.raises(InvalidDocument, match="over 3 seconds"):
        value_faults({}, {})
