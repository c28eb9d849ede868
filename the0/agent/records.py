"""Records of bot.log: the log format of Kubernetes' container runtimes, one a line.

``2026-11-24T04:08:22.123456789Z stdout F <raw line>``; `P` in place of `F` for a part of a line
that goes on in the next record of its stream.
"""

from __future__ import annotations

import time
from typing import NamedTuple

STREAMS = ("stdout", "stderr", "agent")

STAMP_LENGTH = len("2026-11-24T04:08:22.123456789Z")


class Record(NamedTuple):
    """A line (or a part of one): when it was received, in ns since 1970, and on which stream."""

    time_ns: int
    stream: str
    raw: bytes
    partial: bool = False


def format_record(record: Record) -> bytes:
    """The record as a line of the file, newline included."""
    flag = b"P" if record.partial else b"F"
    return b"%s %s %s %s\n" % (stamp(record.time_ns), record.stream.encode(), flag, record.raw)


def parse_record(line: bytes) -> Record | None:
    """The record that a line (without its newline) is; None for anything else."""
    parts = line.split(b" ", 3)
    if len(parts) != 4 or parts[2] not in (b"F", b"P"):
        return None
    time_ns = _parse_stamp(parts[0])
    stream = parts[1].decode("ascii", "replace")
    if time_ns is None or stream not in STREAMS:
        return None
    return Record(time_ns, stream, parts[3], parts[2] == b"P")


def stamp(time_ns: int) -> bytes:
    """RFC 3339 in UTC with nanoseconds, always :data:`STAMP_LENGTH` bytes."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    moment = time.gmtime(seconds)
    return b"%04d-%02d-%02dT%02d:%02d:%02d.%09dZ" % (*moment[:6], nanoseconds)


def _parse_stamp(text: bytes) -> int | None:
    if len(text) != STAMP_LENGTH or text[-1:] != b"Z":
        return None
    try:
        year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
        seconds = int(text[11:13]) * 3600 + int(text[14:16]) * 60 + int(text[17:19])
        return (_days(year, month, day) * 86_400 + seconds) * 1_000_000_000 + int(text[20:29])
    except ValueError:
        return None


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970 of a date of the Gregorian calendar, whose year is taken to begin in March
    so that the leap day is its last. (The standard library's way costs half a MiB of imports.)"""
    year -= month <= 2
    month_of_year = (month + 9) % 12
    day_of_year = (153 * month_of_year + 2) // 5 + day - 1
    return 365 * year + year // 4 - year // 100 + year // 400 + day_of_year - 719_468
