"""From what a pipe happens to deliver to lines."""

from __future__ import annotations

from typing import NamedTuple


class Line(NamedTuple):
    """A line without its newline; `partial` when it is only the beginning of a longer one."""

    raw: bytes
    partial: bool = False


class LineJoiner:
    """Joins what arrives into lines of at most `limit` bytes; longer ones come in parts."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = b""

    def feed(self, data: bytes) -> list[Line]:
        """The lines, and parts of a too long one, that are complete now."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        lines = [line for raw in whole for line in self._cut(raw)]
        if len(self._rest) > self._limit:
            *parts, last = self._cut(self._rest)
            self._rest = last.raw
            lines += parts
        return lines

    def end(self) -> list[Line]:
        """What is left when nothing more will come: a last line without a newline."""
        rest, self._rest = self._rest, b""
        return [Line(rest)] if rest else []

    def _cut(self, raw: bytes) -> list[Line]:
        if len(raw) <= self._limit:
            return [Line(raw)]
        starts = range(0, len(raw), self._limit)
        parts = [Line(raw[start : start + self._limit], True) for start in starts]
        return [*parts[:-1], Line(parts[-1].raw)]
