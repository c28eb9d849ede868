"""What was accepted of a bot's log, so that a retry never doubles a line.

An entry is written before the lines that it tells of. After a crash the size of the day's file
says whether the lines of the last entry followed it; half-written ones are cut off again.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

from the0.files import write_all

MAX_EPOCHS = 32
MAX_DAYS = 32
COMPACT_BYTES = 64 * 1024


@dataclass(frozen=True)
class Entry:
    """Up to `sequence` of `epoch` was accepted; its last lines are the `length` bytes at `offset`
    of the file of `day`; that day lost `dropped_lines` and `dropped_bytes` in all so far."""

    epoch: str
    sequence: int
    day: str
    offset: int
    length: int
    dropped_lines: int
    dropped_bytes: int


_Numbered = tuple[int, Entry]


class Journal:
    """The journal of one bot, in memory and at `path`. Not thread-safe; never synced, so it
    outlives a kill but not every power cut (then some lines may come twice or not at all)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._epochs: OrderedDict[str, _Numbered] = OrderedDict()
        self._days: OrderedDict[str, _Numbered] = OrderedDict()
        self._count = 0
        self._size = 0
        self._announced = 0

    def acked(self, epoch: str) -> int:
        """The last accepted sequence number of the epoch, -1 when there is none."""
        found = self._epochs.get(epoch)
        return -1 if found is None else found[1].sequence

    def dropped(self, day: str) -> tuple[int, int]:
        """(lines, bytes) that the day lost because it was full."""
        found = self._days.get(day)
        return (0, 0) if found is None else (found[1].dropped_lines, found[1].dropped_bytes)

    def write(self, entry: Entry) -> None:
        """Announce lines that are about to be written. Raises OSError; then nothing is announced.

        It takes the place of an announcement that came to nothing, or of a part of one: a full
        disk leaves such, and need not have room for anything that takes them back.
        """
        with self._path.open("ab", buffering=0) as file:
            if file.tell() > self._size:
                file.truncate(self._size)
            write_all(file, _line(entry))
            self._announced = file.tell()

    def accept(self, entry: Entry) -> None:
        """The announced lines are written."""
        self._remember(entry)
        self._size = self._announced
        if self._size > COMPACT_BYTES:
            self._compact()

    def load(self, days: Path) -> None:
        """Read the file, and repair it and the folder `days`, where the lines are, after a crash.
        Nothing is written, so this takes no room. Raises OSError."""
        text = self._path.read_bytes() if self._path.exists() else b""
        found = list(_entries(text))
        size = text.rfind(b"\n") + 1
        if found and not _was_written(found[-1][1], days):
            size, _ = found.pop()
        if size < len(text):
            os.truncate(self._path, size)
        for _, entry in found:
            self._remember(entry)
        self._size = size

    def _compact(self) -> None:
        """Rewrite the file with what still matters; without room for that, an entry later."""
        kept = dict((*self._days.values(), *self._epochs.values()))
        scratch = self._path.with_suffix(".new")
        try:
            size = scratch.write_bytes(b"".join(_line(kept[one]) for one in sorted(kept)))
            scratch.replace(self._path)
            self._size = size
        except OSError:
            scratch.unlink(missing_ok=True)

    def _remember(self, entry: Entry) -> None:
        self._count += 1
        for table, key, bound in (
            (self._epochs, entry.epoch, MAX_EPOCHS),
            (self._days, entry.day, MAX_DAYS),
        ):
            table.pop(key, None)
            table[key] = (self._count, entry)
            if len(table) > bound:
                table.popitem(last=False)


def _line(entry: Entry) -> bytes:
    return json.dumps(astuple(entry), separators=(",", ":")).encode() + b"\n"


def _entries(text: bytes) -> Iterable[tuple[int, Entry]]:
    """The entries of the whole lines, each with where it begins."""
    start = 0
    for line in text.split(b"\n")[:-1]:
        # Earlier versions glued an entry to a torn one before it.
        with contextlib.suppress(ValueError, TypeError):
            yield start, Entry(*json.loads(line))
        start += len(line) + 1


def _was_written(entry: Entry, days: Path) -> bool:
    """Whether the entry's lines are all there; a part of them is cut off.

    A file that is missing or shorter was not cut by us: it had its lines and lost them to
    retention, or to a power cut.
    """
    path = days / f"{entry.day}.log"
    size = path.stat().st_size if path.exists() else -1
    if not entry.offset <= size < entry.offset + entry.length:
        return True
    with path.open("r+b") as file:
        file.truncate(entry.offset)
    return False
