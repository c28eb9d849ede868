"""Bots' logs on this host's disk, one folder per bot, until they are in object storage.

::

    <spool>/<bot>/bot.json        the bot's id
    <spool>/<bot>/journal         what was accepted (see the0.storage.log_journal)
    <spool>/<bot>/20260131.log    the lines of a UTC day, only ever appended to
    <spool>/<bot>/20260131.base   what the store had of that day before the first line here
    <spool>/<bot>/20260131.stored how much of the day the store has by now

The day's object is base + log + a line about what was dropped. One process writes (the one that
serves the gateway), any may read, and remove a bot that is gone.
"""

from __future__ import annotations

import io
import json
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from weakref import WeakValueDictionary

from the0.files import write_all, write_atomic
from the0.storage import keys
from the0.storage.log_day import DayParts, DaySize, Line, dropped_notice, fitting
from the0.storage.log_journal import Entry, Journal
from the0.storage.log_lines import LogBatch, LogRecord, by_day

_CACHED = 4096


class BotLog:
    """The folder of one bot. Methods block for the disk only and may be called from threads."""

    def __init__(self, directory: Path, bot_id: str, day_max_bytes: int) -> None:
        self.directory = directory
        self.bot_id = bot_id
        self._max = day_max_bytes
        self._lock = threading.Lock()
        directory.mkdir(parents=True, exist_ok=True)
        name = directory / "bot.json"
        if not name.exists():
            write_atomic(name, json.dumps({"bot_id": bot_id}).encode())
        self._journal = Journal(directory / "journal")
        self._journal.load(directory)

    def append(self, batch: LogBatch, now: datetime) -> Sequence[LogRecord]:
        """Keep what of the batch is new, and say what that was. Raises OSError for a full disk;
        the rest of the batch is then new again when it is sent again."""
        with self._lock:
            fresh = batch.after(self._journal.acked(batch.epoch))
            for day, lines in by_day(fresh, now):
                self._append_day(batch.epoch, day, lines)
            return fresh

    def acked(self, epoch: str) -> int:
        return self._journal.acked(epoch)

    def days(self) -> Sequence[str]:
        """Days that have lines here, oldest first."""
        return spooled_days(self.directory)

    def size_of(self, day: str) -> DaySize:
        with self._lock:
            return self._size_of(day)

    def is_stored(self, day: str) -> bool:
        """Whether the store has all that is here of the day."""
        return self._stored(day) == self.size_of(day)

    def unstored_days(self) -> Sequence[str]:
        """Days that the store has not all of."""
        return [day for day in self.days() if not self.is_stored(day)]

    def mark_stored(self, day: str, size: DaySize) -> None:
        write_atomic(self._path(day, "stored"), json.dumps(asdict(size)).encode())

    def needs_base(self, day: str) -> bool:
        """Whether it is unknown what the store had of the day before the first line here."""
        return not self._path(day, "base").exists()

    def set_base(self, day: str, content: Iterable[bytes]) -> None:
        """What the store had, in pieces. Nothing is set when they break off."""
        write_atomic(self._path(day, "base"), content)

    def open_day(self, day: str, size: DaySize) -> tuple[io.BufferedReader, int]:
        """The day's object as it is at `size`, to be closed, and its length in bytes."""
        parts: list[tuple[io.RawIOBase | io.BytesIO, int]] = []
        for path, length in (
            (self._path(day, "base"), self._path(day, "base").stat().st_size),
            (self._path(day, "log"), size.size),
        ):
            parts.append((io.FileIO(path), length))
        notice = dropped_notice(day, size, self._max)
        parts.append((io.BytesIO(notice), len(notice)))
        return io.BufferedReader(DayParts(parts)), sum(length for _, length in parts)

    def expire(self, older_than: datetime, at_last: datetime) -> None:
        """Remove days before `older_than` that the store has, and any before `at_last`; also the
        folder of a bot that is not heard of any more."""
        for day in self.days():
            if day < f"{at_last:%Y%m%d}" or (day < f"{older_than:%Y%m%d}" and self.is_stored(day)):
                self._remove_day(day)
        self._remove_if_unused(at_last)

    def _remove_day(self, day: str) -> None:
        with self._lock:
            for kind in ("log", "base", "stored"):
                self._path(day, kind).unlink(missing_ok=True)

    def _remove_if_unused(self, since: datetime) -> None:
        with self._lock:
            journal = self.directory / "journal"
            used = journal.stat().st_mtime if journal.exists() else 0.0
            if not self.days() and used < since.timestamp():
                shutil.rmtree(self.directory)

    def _append_day(self, epoch: str, day: str, lines: Sequence[Line]) -> None:
        before = self._size_of(day)
        kept = fitting(lines, self._room(day, before))
        lost = lines[len(kept) :]
        data = b"".join(line for _, line in kept)
        entry = Entry(
            epoch=epoch,
            sequence=lines[-1][0].sequence,
            day=day,
            offset=before.size,
            length=len(data),
            dropped_lines=before.dropped_lines + len(lost),
            dropped_bytes=before.dropped_bytes + sum(len(line) for _, line in lost),
        )
        # It exists before the journal says so: a file that is missing later was removed by us.
        with self._path(day, "log").open("ab", buffering=0) as file:
            self._journal.write(entry)
            self._write(file, data, before.size)
        self._journal.accept(entry)

    def _write(self, file: io.FileIO, data: bytes, offset: int) -> None:
        try:
            write_all(file, data)
        except OSError:
            file.truncate(offset)
            raise

    def _room(self, day: str, before: DaySize) -> int:
        if before.dropped_lines:
            return 0
        base = self._path(day, "base")
        return self._max - before.size - (base.stat().st_size if base.exists() else 0)

    def _size_of(self, day: str) -> DaySize:
        path = self._path(day, "log")
        return DaySize(path.stat().st_size if path.exists() else 0, *self._journal.dropped(day))

    def _stored(self, day: str) -> DaySize | None:
        try:
            return DaySize(**json.loads(self._path(day, "stored").read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _path(self, day: str, kind: str) -> Path:
        return self.directory / f"{day}.{kind}"


class LogSpool:
    """All bots' folders in `directory`. `day_max_bytes` bounds a bot's day."""

    def __init__(self, directory: Path, day_max_bytes: int) -> None:
        self.directory = directory
        self._max = day_max_bytes
        # Of one folder there must not be two at a time, so one in use is found however old it is.
        self._bots: WeakValueDictionary[str, BotLog] = WeakValueDictionary()
        self._recent: OrderedDict[str, BotLog] = OrderedDict()
        self._lock = threading.Lock()

    def bot(self, bot_id: str) -> BotLog:
        """The bot's log, begun where there is none. Raises OSError."""
        with self._lock:
            found = self._bots.get(bot_id)
            if found is None or not found.directory.exists():
                found = BotLog(bot_directory(self.directory, bot_id), bot_id, self._max)
            self._bots[bot_id] = self._recent[bot_id] = found
            self._recent.move_to_end(bot_id)
            if len(self._recent) > _CACHED:
                self._recent.popitem(last=False)
            return found

    def ids(self) -> Iterator[str]:
        """Every bot that has a folder, also one of an earlier process."""
        for name in sorted(self.directory.glob("*/bot.json")):
            with suppress(OSError, ValueError, KeyError, TypeError):
                yield json.loads(name.read_bytes())["bot_id"]


def bot_directory(spool: Path, bot_id: str) -> Path:
    return spool / keys.file_name(bot_id)


def remove_spooled(spool: Path, bot_id: str) -> None:
    """Remove all that the spool has of a bot whose containers are gone, in whichever process."""
    with suppress(FileNotFoundError):
        shutil.rmtree(bot_directory(spool, bot_id))


def spooled_days(directory: Path) -> Sequence[str]:
    """Days that have lines in a bot's folder, oldest first; none without the folder."""
    found = (path.stem for path in directory.glob("*.log"))
    return sorted(day for day in found if keys.is_day(day))
