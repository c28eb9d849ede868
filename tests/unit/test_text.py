"""JSON and text from outside: read strictly, shown harmlessly."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.errors import InvalidInput
from the0.text import parse_json, printable


@given(st.integers())
def test_integers_stay_exact(number: int) -> None:
    assert parse_json(json.dumps({"n": number}).encode()) == {"n": number}


@given(st.binary())
def test_any_body_is_a_value_or_one_clear_error(body: bytes) -> None:
    faults: list[str] = []
    try:
        parse_json(body)
    except InvalidInput as error:
        faults.append(str(error))
    assert all(text.startswith("The body is not usable JSON") for text in faults)
    assert all(text.isprintable() for text in faults)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"a": NaN}', "NaN"),
        (b'{"a": 1e999}', "not JSON compliant"),
        (b'{"a": 1, "a": 2}', "'a' stands twice"),
        (b'"\\ud800"', "surrogates"),
        (b"[" * 100_000, "nested"),
        (b"", "Expecting value"),
    ],
)
def test_unusable_json_says_why(body: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parse_json(body)


@given(st.text())
def test_text_from_outside_becomes_one_printable_line(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) <= 301
