from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.agent.records import (
    STAMP_LENGTH,
    STREAMS,
    Record,
    format_record,
    parse_record,
    stamp,
)

RECORDS = st.builds(
    Record,
    st.integers(0, 4_000_000_000 * 10**9),
    st.sampled_from(STREAMS),
    st.binary().map(lambda raw: raw.replace(b"\n", b"")),
    st.booleans(),
)


@given(RECORDS)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    line = format_record(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert parse_record(line[:-1]) == record


@given(st.integers(0, 4_000_000_000 * 10**9))
def test_the_stamp_is_what_the_calendar_says(time_ns: int) -> None:
    text = stamp(time_ns)
    assert len(text) == STAMP_LENGTH
    seconds = datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    assert text.decode() == f"{seconds}.{time_ns % 10**9:09d}Z"


@given(st.binary())
def test_anything_else_is_no_record(line: bytes) -> None:
    record = parse_record(line)
    assert record is None or format_record(record)[:-1] == line


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"plain text of a bot",
        b"2026-11-24T04:08:22.123456789Z stdout X raw",
        b"2026-11-24T04:08:22.123456789Z nowhere F raw",
        b"2026-11-24T04:08:22Z stdout F raw",
        b"2026-1a-24T04:08:22.123456789Z stdout F raw",
    ],
)
def test_broken_lines(line: bytes) -> None:
    assert parse_record(line) is None
