"""What was accepted of a bot's log, so that a retry never doubles a line.

An entry is written before the lines that it tells of. After a crash the size of the day's file
says whether the lines of the last entry followed it; half-written ones are cut off again.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

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

    def acked(self, epoch: str) -> int:
        """The last accepted sequence number of the epoch, -1 when there is none."""
        found = self._epochs.get(epoch)
        return -1 if found is None else found[1].sequence

    def dropped(self, day: str) -> tuple[int, int]:
        """(lines, bytes) that the day lost because it was full."""
        found = self._days.get(day)
        return (0, 0) if found is None else (found[1].dropped_lines, found[1].dropped_bytes)

    def write(self, entry: Entry) -> None:
        """Announce lines that are about to be written. Raises OSError; then nothing changed."""
        with self._path.open("ab") as file:
            file.write(_line(entry))
            self._size = file.tell()

    def accept(self, entry: Entry) -> None:
        """The announced lines are written."""
        self._remember(entry)
        if self._size > COMPACT_BYTES:
            self.compact()

    def compact(self) -> None:
        """Rewrite the file with what still matters, announcements that came to nothing left out."""
        kept = dict((*self._days.values(), *self._epochs.values()))
        scratch = self._path.with_suffix(".new")
        scratch.write_bytes(b"".join(_line(kept[number]) for number in sorted(kept)))
        scratch.replace(self._path)
        self._size = self._path.stat().st_size

    def load(self, days: Path) -> None:
        """Read the file and repair the folder `days`, where the lines are, after a crash."""
        entries = list(_entries(self._path))
        if entries and not _was_written(entries[-1], days):
            entries.pop()
        for entry in entries:
            self._remember(entry)
        if self._path.exists():
            self.compact()

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


def _entries(path: Path) -> Iterable[Entry]:
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            yield Entry(*json.loads(line))
        except (ValueError, TypeError):
            continue  # torn by a kill: its lines were not begun yet


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
