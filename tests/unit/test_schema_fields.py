"""Fields that a schema speaks of: where it does so plays no part, and nothing is too odd."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.schema_fields import demanded, described

A = {"properties": {"a": {}}, "required": ["a"]}
WORDS = st.sampled_from(
    ["$ref", "properties", "required", "allOf", "if", "#", "#/allOf/0", "#/if", "#/required/7"]
)


@pytest.mark.parametrize(
    "schema",
    [
        A,
        {"allOf": [{"type": "object"}, A]},
        {"if": {}, "then": A},
        {"$ref": "#/definitions/x", "definitions": {"x": A}},
        {"$ref": "#/definitions/x~1%25y", "definitions": {"x/%y": {"anyOf": [A]}}},
        {"oneOf": [{"$ref": "#/definitions/x/0"}], "definitions": {"x": [A]}},
        {"allOf": [{"$ref": "#"}, A]},
    ],
)
def test_every_part_that_is_about_the_object_counts(schema: Any) -> None:
    assert described(schema) == demanded(schema) == {"a"}


@pytest.mark.parametrize(
    "schema",
    [
        None,
        True,
        [A],
        {"items": A},
        {"properties": ["a"], "required": "a"},
        {"$ref": "#/definitions/x"},
        {"$ref": "http://127.0.0.1/x"},
        {"$ref": "#/x/0", "x": "text", **A},
        {"not": A},
    ],
)
def test_nothing_else_does(schema: Any) -> None:
    assert described(schema) == demanded(schema) == set()


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3) | WORDS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
        max_leaves=20,
    )
)
def test_any_json_speaks_of_something_or_nothing(schema: Any) -> None:
    assert all(isinstance(name, str) for name in described(schema) | demanded(schema))
