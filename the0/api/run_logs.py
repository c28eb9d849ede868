"""What a bot wrote between two moments, from the days of its log.

A bot has one run at a time, so the lines of that time are the run's. The lines of a day stand in
the order in which they came; one whose `timestamp`, which may be the bot's own, says nothing
belongs to the line before it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from the0.storage.log_spool import bot_directory, spooled_days
from the0.storage.logs import TAIL_BYTES, LogStore

_PIECE = 256 * 1024
_TIMESTAMP = re.compile(rb'"timestamp"\s*:\s*"([^"]{1,40})"')
_PRECISION = timedelta(milliseconds=1)
"""MongoDB cuts times to it."""


@dataclass(frozen=True)
class Span:
    """The last `lines` lines of a bot from `start` to `end` (None: until now)."""

    bot_id: str
    start: datetime
    end: datetime | None
    lines: int

    def days(self) -> Iterator[str]:
        """The UTC days, YYYYMMDD, that it touches."""
        day, last = self.start.astimezone(UTC).date(), (self.end or datetime.now(UTC)).date()
        while day <= last:
            yield f"{day:%Y%m%d}"
            day += timedelta(days=1)

    def holds(self, time: datetime) -> bool:
        return self.start <= time and (self.end is None or time <= self.end + _PRECISION)


def read_span(span: Span, spool: Path, store: LogStore) -> list[str]:
    """NDJSON lines, oldest first, of at most 512 KiB together. Blocks.

    Raises Unavailable where a day has to come from a store that does not answer.
    """
    directory = bot_directory(spool, span.bot_id)
    spooled = spooled_days(directory)
    kept: deque[bytes] = deque()
    size = 0
    for day in span.days():
        here = day in spooled
        pieces = _spooled(directory, day) if here else store.pieces(span.bot_id, day)
        for line in _within(span, _whole_lines(pieces)):
            kept.append(line)
            size += len(line)
            while len(kept) > span.lines or size > TAIL_BYTES:
                size -= len(kept.popleft())
    return [line.decode("utf-8", "replace") for line in kept]


def _within(span: Span, lines: Iterable[bytes]) -> Iterator[bytes]:
    holds = False
    for line in lines:
        time = _time(line)
        holds = span.holds(time) if time else holds
        if holds:
            yield line


def _time(line: bytes) -> datetime | None:
    found = _TIMESTAMP.search(line)
    try:
        time = datetime.fromisoformat(found[1].decode()) if found else None
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time and time.tzinfo is None else time


def _whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their newline; a last one that is just being written is left out."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines


def _spooled(directory: Path, day: str) -> Iterator[bytes]:
    for kind in ("base", "log"):
        try:
            with (directory / f"{day}.{kind}").open("rb") as file:
                while piece := file.read(_PIECE):
                    yield piece
        except FileNotFoundError:
            continue
