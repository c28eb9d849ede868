"""One UTC day of a bot's log: how much there is, what fits, and the object that is made of it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from the0.storage.log_lines import LogRecord, ndjson

Line = tuple[LogRecord, bytes]
"""A record with its NDJSON line."""


@dataclass(frozen=True)
class DaySize:
    """How much there is of a day: bytes of its log file and lines that were dropped."""

    size: int = 0
    dropped_lines: int = 0
    dropped_bytes: int = 0


def dropped_notice(day: str, size: DaySize, day_max_bytes: int) -> bytes:
    """The last line of a day that was full; empty for any other."""
    if not size.dropped_lines:
        return b""
    at = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC, hour=23, minute=59, second=59)
    text = (
        f"the0: {size.dropped_lines} lines ({size.dropped_bytes} bytes) of this day were dropped "
        f"because its log reached {day_max_bytes >> 20} MiB (setting logs.day_max_mb)"
    )
    return ndjson(text.encode(), at)


def fitting(lines: Sequence[Line], room: int) -> Sequence[Line]:
    """The first lines that fit; after the first that does not, none."""
    for index, (_, line) in enumerate(lines):
        room -= len(line)
        if room < 0:
            return lines[:index]
    return lines


class DayParts(io.RawIOBase):
    """Several files one after another, each up to a length (they may be growing)."""

    def __init__(self, parts: Sequence[tuple[io.RawIOBase | io.BytesIO, int]]) -> None:
        super().__init__()
        self._parts = list(parts)
        self._files = [file for file, _ in parts]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while self._parts:
            file, left = self._parts[0]
            data = file.read(min(len(buffer), left)) if left else b""
            if data:
                self._parts[0] = (file, left - len(data))
                buffer[: len(data)] = data
                return len(data)
            self._parts.pop(0)
        return 0

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()
