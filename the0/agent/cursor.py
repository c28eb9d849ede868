"""How far the log on the volume has been shipped, kept beside it over launches."""

from __future__ import annotations

import json
import os
from typing import NamedTuple

from the0.agent import files
from the0.agent.records import STAMP_LENGTH

CURRENT = "bot.log"
_NAME = "logs.json"
_LIMIT = 4096
_CHUNK = 1 << 20
_EPOCH_LENGTH = 32
_HEX = frozenset("0123456789abcdef")
_LARGEST = 1 << 53


class Cursor(NamedTuple):
    """The gateway has every line up to number `acked` of `epoch`. The next one stands at `offset`
    of the log file whose first record has the time stamp `start` (empty: of the oldest file).
    A file's first stamp tells it from all others, which its inode number does not."""

    epoch: str
    acked: int = 0
    start: str = ""
    offset: int = 0


def fresh() -> Cursor:
    """A cursor at the beginning of a new epoch."""
    return Cursor(os.urandom(16).hex())


def load(folder: int) -> Cursor | None:
    """The cursor in `folder` (`/var/the0`); None where there is none that can be understood."""
    try:
        given = json.loads(files.read_small(folder, _NAME, _LIMIT) or b"null")
        epoch, start = str(given["epoch"]), str(given["start"])
        numbers = int(given["acked"]), int(given["offset"])
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
    # The bot can write to this file as well.
    if len(epoch) != _EPOCH_LENGTH or not set(epoch) <= _HEX:
        return None
    if not all(0 <= number < _LARGEST for number in numbers):
        return None
    return Cursor(epoch, numbers[0], start, numbers[1])


def save(folder: int, cursor: Cursor) -> None:
    """Write the cursor, whole or not at all."""
    files.replace(folder, _NAME, json.dumps(cursor._asdict()).encode())


def file_names(count: int) -> list[str]:
    """The names of the `count` log files, oldest first."""
    return [f"{CURRENT}.{number}" for number in range(count - 1, 0, -1)] + [CURRENT]


def start_of(fd: int) -> str:
    """The time stamp of a log file's first record; empty for an empty file."""
    return os.pread(fd, STAMP_LENGTH, 0).decode("latin-1")


def count_unshipped(fd: int, cursor: Cursor | None) -> int:
    """How many lines of the log file `fd` come after `cursor`."""
    start = start_of(fd)
    if cursor is None or start > cursor.start:
        offset = 0
    elif start == cursor.start:
        offset = cursor.offset
    else:
        return 0
    lines = 0
    while piece := os.pread(fd, _CHUNK, offset):
        lines += piece.count(b"\n")
        offset += len(piece)
    return lines
