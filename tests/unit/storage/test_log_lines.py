from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.errors import InvalidInput
from the0.storage.log_lines import LogRecord, by_day, ndjson, parse_batch, raw_text, written_at

AT = datetime(2026, 1, 31, 23, 59, 59, 123456, tzinfo=UTC)
STAMP = "2026-01-31T23:59:59.123456Z"


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"hello", f'{{"timestamp":"{STAMP}","message":"hello"}}'),
        (b"", f'{{"timestamp":"{STAMP}","message":""}}'),
        (b"  indented\r", f'{{"timestamp":"{STAMP}","message":"  indented"}}'),
        (b'{"timestamp":"mine","x":1.10}', '{"timestamp":"mine","x":1.10}'),
        (b'{"timestamp":null}', '{"timestamp":null}'),
        (b'{"a": 1e2, "big": 12345678901234567890123}',
         f'{{"timestamp":"{STAMP}","a": 1e2, "big": 12345678901234567890123}}'),
        (b"{}", f'{{"timestamp":"{STAMP}"}}'),
        (b" { } ", f'{{"timestamp":"{STAMP}"}}'),
        (b'["a"]', f'{{"timestamp":"{STAMP}","message":"[\\"a\\"]"}}'),
        (b'{"a":NaN}', f'{{"timestamp":"{STAMP}","message":"{{\\"a\\":NaN}}"}}'),
        (b'{"torn', f'{{"timestamp":"{STAMP}","message":"{{\\"torn"}}'),
        (b"\xff\x00", f'{{"timestamp":"{STAMP}","message":"\ufffd\\u0000"}}'),
    ],
)  # fmt: skip
def test_lines_by_the_contract(raw: bytes, line: str) -> None:
    assert ndjson(raw, AT).decode() == line + "\n"


def test_a_hostile_line_is_a_message() -> None:
    for raw in (b'{"a":' * 20_000, b'{"a":' + b"9" * 10_000 + b"}"):
        assert json.loads(ndjson(raw, AT))["message"] == raw.decode()


@given(st.binary().filter(lambda raw: b"\n" not in raw))
def test_every_line_is_one_json_object_with_a_timestamp(raw: bytes) -> None:
    line = ndjson(raw, AT)
    assert line.count(b"\n") == 1
    assert "timestamp" in json.loads(line)


@given(
    st.dictionaries(
        st.text(),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5),
    )
)
def test_an_object_keeps_all_that_is_its_own(value: dict[str, Any]) -> None:
    found = json.loads(ndjson(json.dumps(value).encode(), AT))
    assert found == {"timestamp": STAMP, **value}


def test_records_go_to_the_day_they_were_written() -> None:
    midnight = int(datetime(2026, 2, 1, tzinfo=UTC).timestamp()) * 10**9
    records = [LogRecord(n, midnight + (n - 2) * 1000, b"%d" % n, False) for n in range(4)]
    days = [
        (day, [one.sequence for one, _ in lines])
        for day, lines in by_day(records, AT + timedelta(hours=1))
    ]
    assert days == [("20260131", [0, 1]), ("20260201", [2, 3])]


@pytest.mark.parametrize("time_ns", [-1, 0, 10**30, -(10**30)])
def test_a_clock_that_is_plainly_wrong_is_not_believed(time_ns: int) -> None:
    assert written_at(time_ns, AT) == AT


def test_pieces_of_a_long_line_come_together_again() -> None:
    records = [
        LogRecord(1, 0, b"long ", True),
        LogRecord(2, 0, b"line", False),
        LogRecord(3, 0, b"next", False),
    ]
    assert raw_text(records) == b"long line\nnext\n"


def batch(**changed: Any) -> dict[str, Any]:
    record = [1, 2, "stdout", base64.b64encode(b"x").decode(), False]
    return {"epoch": "a" * 32, "records": [record], **changed}


def test_a_batch_is_understood() -> None:
    found = parse_batch(batch())
    assert found.records == [LogRecord(1, 2, b"x", False)]
    assert found.after(0) == found.records
    assert found.after(1) == []


def test_fields_of_a_later_version_are_ignored() -> None:
    found = parse_batch(batch(records=[[1, 2, "stdout", "", True, "new"]], more=1))
    assert found.records == [LogRecord(1, 2, b"", True)]


@pytest.mark.parametrize(
    "given",
    [
        None,
        [],
        {},
        batch(epoch="A" * 32),
        batch(epoch=7),
        batch(records=7),
        batch(records=[7]),
        batch(records=[[1, 2]]),
        batch(records=[["1", 2, "stdout", "", False]]),
        batch(records=[[True, 2, "stdout", "", False]]),
        batch(records=[[-1, 2, "stdout", "", False]]),
        batch(records=[[1, 2.0, "stdout", "", False]]),
        batch(records=[[1, 2, "stdout", "no base 64", False]]),
        batch(records=[[1, 2, "stdout", 7, False]]),
        batch(records=[[2, 2, "stdout", "", False], [2, 2, "stdout", "", False]]),
    ],
)
def test_what_is_no_batch_is_refused(given: Any) -> None:
    with pytest.raises(InvalidInput):
        parse_batch(given)
