"""From log records to the lines of a day's object. Pure.

A line that is a JSON object with `timestamp` is kept as it is, one without gets a `timestamp`,
any other line becomes `{"timestamp", "message"}`; the timestamp is when the line was written.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from typing import Any

from the0.errors import InvalidInput

_EPOCH = re.compile("[0-9a-f]{32}")
_COMPACT: dict[str, Any] = {"ensure_ascii": False, "separators": (",", ":")}
_START = datetime(1970, 1, 1, tzinfo=UTC)
_OLDEST = timedelta(days=31)
_AHEAD = timedelta(days=1)


@dataclass(frozen=True)
class LogRecord:
    """One line as the agent received it: `raw` without its newline, `partial` for a piece of a
    line that was too long to come whole."""

    sequence: int
    time_ns: int
    raw: bytes
    partial: bool


@dataclass(frozen=True)
class LogBatch:
    """Records of one epoch in the order of their sequence numbers, which only ever grow."""

    epoch: str
    records: Sequence[LogRecord]

    def after(self, acked: int) -> Sequence[LogRecord]:
        return [one for one in self.records if one.sequence > acked]


def parse_batch(data: Any) -> LogBatch:
    """A batch as it is posted. Raises InvalidInput."""
    try:
        epoch = _epoch(data["epoch"])
        records = [_record(*one[:5]) for one in data["records"]]
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise InvalidInput(f"not a batch of log records: {error}") from error
    numbers = [one.sequence for one in records]
    if any(first >= second for first, second in pairwise(numbers)):
        raise InvalidInput("not a batch of log records: sequence numbers do not grow")
    return LogBatch(epoch, records)


def _epoch(value: Any) -> str:
    if not isinstance(value, str) or not _EPOCH.fullmatch(value):
        raise ValueError("epoch is not 32 hex digits")
    return value


def _record(sequence: Any, time_ns: Any, _stream: Any, raw: Any, partial: Any) -> LogRecord:
    if type(sequence) is not int or type(time_ns) is not int or sequence < 0:
        raise TypeError("sequence and time are not integers")
    return LogRecord(sequence, time_ns, base64.b64decode(raw, validate=True), partial is True)


def raw_text(records: Iterable[LogRecord]) -> bytes:
    """The lines as the bot wrote them; pieces of a long line come together again."""
    return b"".join(one.raw if one.partial else one.raw + b"\n" for one in records)


def by_day(
    records: Iterable[LogRecord], now: datetime
) -> Iterator[tuple[str, Sequence[tuple[LogRecord, bytes]]]]:
    """(YYYYMMDD in UTC, the records with their NDJSON lines) for each run of one day."""
    timed = ((written_at(one.time_ns, now), one) for one in records)
    for day, group in groupby(timed, key=lambda pair: f"{pair[0]:%Y%m%d}"):
        yield day, [(one, ndjson(one.raw, at)) for at, one in group]


def written_at(time_ns: int, now: datetime) -> datetime:
    """When a line was written; `now` for a clock that is plainly wrong."""
    low, high = now - _OLDEST, now + _AHEAD
    if not _nanoseconds(low) <= time_ns <= _nanoseconds(high):
        return now
    return _START + timedelta(microseconds=time_ns // 1000)


def ndjson(raw: bytes, at: datetime) -> bytes:
    """One line of the day's object, newline included."""
    text = raw.decode("utf-8", "replace").strip()
    stamp = timestamp(at)
    if (found := _object(text)) is None:
        message = raw.decode("utf-8", "replace").rstrip("\r")
        text = json.dumps({"timestamp": stamp, "message": message}, **_COMPACT)
    elif "timestamp" not in found:
        # Put in as text, so that numbers and order stay as the bot wrote them.
        rest = text[1:].lstrip()
        text = f'{{"timestamp":"{stamp}"{"" if rest == "}" else ","}{rest}'
    return text.encode() + b"\n"


def timestamp(at: datetime) -> str:
    """ISO 8601 in UTC with microseconds and a `Z`."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _object(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _nanoseconds(at: datetime) -> int:
    return (at - _START) // timedelta(microseconds=1) * 1000
