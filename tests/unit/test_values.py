from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import bson
import pytest
from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, MaxKey, ObjectId, Regex, Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from the0.errors import InvalidDocument
from the0.values import MAX_DEPTH, config_json, read_time, to_bson, to_json

EXACT = st.integers(-(10**34) + 1, 10**34 - 1)
KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
# `$ref` beside `$id`, as JSON Schema has them too, is a type of its own in BSON.
NAMES = KEYS | st.sampled_from(["$ref", "$id"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


def can_be_told(document: dict[str, Any]) -> bool:
    """Beside both names a `$db` of null is what pymongo makes of none."""
    return not {"$ref", "$id"} <= document.keys() or document.get("$db", "") is not None


STORABLE = st.recursive(
    st.none() | st.booleans() | EXACT | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3).filter(can_be_told)
    ),
    max_leaves=10,
)
ID = ObjectId("0123456789abcdef01234567")


@given(st.dictionaries(KEYS, STORABLE, max_size=4))
@settings(max_examples=300, deadline=None)
def test_json_comes_back_exactly_from_the_database_and_in_the_bot(document: Any) -> None:
    stored = bson.decode(bson.encode(to_bson(document)))
    assert to_json(stored) == document
    assert json.loads(config_json(stored)) == document


@given(st.recursive(st.text() | st.floats() | st.integers(), st.lists, max_leaves=5))
@settings(max_examples=300, deadline=None)
def test_what_cannot_be_stored_is_an_invalid_document(value: Any) -> None:
    with suppress(InvalidDocument):
        bson.encode(to_bson({"value": value}))


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (2**53 + 1, 2**53 + 1),
        (Decimal128("12345678901234567890"), 12345678901234567890),
        (Decimal128("0.10"), "0.10"),
        (datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC), "2026-01-02T03:04:05.678Z"),
        (ID, "0123456789abcdef01234567"),
        (b"\0\xff", "AP8="),
        (Binary(b"x", 5), "eA=="),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Regex("^a.*", "i"), "^a.*"),
        (Timestamp(0, 1), "1970-01-01T00:00:00.000Z"),
        (Code("function() {}"), "function() {}"),
        (MaxKey(), "MaxKey()"),
        (
            DBRef("c", 2**60, "d", more=[ID]),
            {"$ref": "c", "$id": 2**60, "$db": "d", "more": [str(ID)]},
        ),
    ],
)
def test_what_only_bson_knows_becomes_json(value: Any, plain: Any) -> None:
    assert json.loads(config_json({"value": value})) == {"value": plain}


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("-inf"),
        Decimal128("Infinity"),
        10**34,
        Decimal128("1E+6000").to_decimal(),
        DBRef("c", float("nan")),
        DatetimeMS(2**62),
        object(),
        "\ud800",
        {1: 2},
    ],
)
def test_what_json_cannot_say_is_refused_by_path(value: Any) -> None:
    with pytest.raises(InvalidDocument, match=r"config\.list\[1\]"):
        config_json({"list": [0, value]})


def test_nesting_is_bounded() -> None:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    for convert in (to_json, to_bson):
        with pytest.raises(InvalidDocument, match=f"deeper than {MAX_DEPTH}"):
            convert({"a": value})


@pytest.mark.parametrize(
    ("given_time", "read"),
    [
        ("2026-01-02T03:04:05.123456789Z", datetime(2026, 1, 2, 3, 4, 5, 123_000, tzinfo=UTC)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (datetime(2026, 1, 2, 3), datetime(2026, 1, 2, 3, tzinfo=UTC)),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=5))), None),
        ("yesterday", None),
        (7, None),
        (None, None),
    ],
)
def test_times(given_time: Any, read: datetime | None) -> None:
    assert read_time(given_time) == read
