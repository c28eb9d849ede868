"""Log records from the volume to the gateway: each one once, in order, over any number of
launches."""

from __future__ import annotations

import binascii
import os
import time
from contextlib import suppress

from the0.agent import cursor, files
from the0.agent.client import Gateway
from the0.agent.cursor import Cursor
from the0.agent.launch import Logs
from the0.agent.records import Record, parse_record

_HEAD_ROOM = 128


class Shipper:
    """Reads what `bot.log` and its rotated files in the folder `path` hold after the cursor, and
    posts it. Raises OSError for what the bot or the disk does; it may be tried again."""

    def __init__(self, path: str, var: int, limits: Logs) -> None:
        self._path = path
        self._logs = files.make_folder(path)
        self._var = var
        self._names = cursor.file_names(limits.files)
        self._longest = limits.max_line_bytes
        self._most = max(limits.batch_bytes, limits.max_line_bytes + _HEAD_ROOM)
        self._fd: int | None = None
        known = cursor.load(var)
        self._cursor = self._kept = known or self._begin_epoch()

    def ship(self, gateway: Gateway) -> bool:
        """Post the next batch; whether there was one. Raises Unavailable and Refused, after which
        the same batch is the next one."""
        lines = self._next_lines()
        if not lines:
            return False
        if self._cursor.start != self._kept.start:
            # Before the first line of a file is sent: were its answer lost, and then the file, its
            # numbers must not be given to others by the next sync.
            self._keep()
        first = self._cursor.acked + 1
        records = [_encode(number, line, self._longest) for number, line in enumerate(lines, first)]
        gateway.post("/v1/logs", {"epoch": self._cursor.epoch, "records": records})
        shipped = sum(len(line) + 1 for line in lines)
        self._cursor = self._cursor._replace(
            acked=self._cursor.acked + len(lines), offset=self._cursor.offset + shipped
        )
        self._keep()
        return True

    def _keep(self) -> None:
        cursor.save(self._var, self._cursor)
        self._kept = self._cursor

    def _next_lines(self) -> list[bytes]:
        while True:
            if self._fd is None or os.fstat(self._fd).st_nlink == 0:
                self._locate()
            if self._fd is None:
                return []
            # Asked before reading: a file that was rotated by now does not grow any more.
            newer = self._newer()
            if lines := self._read(self._fd):
                return lines
            if newer is not None:
                self._open(newer, 0)
            elif self._moved():
                self._locate()
            else:
                return []

    def _moved(self) -> bool:
        """Whether the log goes on in another folder, because the bot took this one away."""
        log = os.path.join(self._path, cursor.CURRENT)
        return os.path.lexists(log) and not files.is_at(self._logs, self._path)

    def _read(self, fd: int) -> list[bytes]:
        data = os.pread(fd, self._most, self._cursor.offset)
        if not self._cursor.start:
            self._cursor = self._cursor._replace(start=cursor.start_of(fd))
        whole, newline, _ = data.rpartition(b"\n")
        if newline:
            return whole.split(b"\n")
        # No line of ours is that long: somebody wrote to the file. What stands there is shipped.
        return [data[:-1]] if len(data) == self._most else []

    def _locate(self) -> None:
        """Open the file that the cursor is in. Where it is gone, so are its lines: a new epoch
        begins with the oldest file, because numbers of lost lines must not be given again."""
        self._close()
        self._logs = files.reopen_folder(self._logs, self._path)
        found = [name for name in self._names if self._start(name) is not None]
        for name in found:
            if self._cursor.start and self._start(name) == self._cursor.start:
                self._open(name, self._cursor.offset)
                return
        if self._cursor.start:
            self._cursor = self._begin_epoch()
        if found:
            self._open(found[0], 0)

    def _begin_epoch(self) -> Cursor:
        # Remembered before anything is sent: a retry after a restart must have the same epoch.
        begun = cursor.fresh()
        cursor.save(self._var, begun)
        return begun

    def _newer(self) -> str | None:
        """The name of the file that came after the open one."""
        assert self._fd is not None
        number = os.fstat(self._fd).st_ino
        following: str | None = None
        for name in reversed(self._names):
            with suppress(OSError):
                if os.stat(name, dir_fd=self._logs, follow_symlinks=False).st_ino == number:
                    return following
                following = name
        return following

    def _start(self, name: str) -> str | None:
        try:
            fd = files.open_file(name, self._logs)
        except OSError:
            return None
        try:
            return cursor.start_of(fd)
        finally:
            os.close(fd)

    def _open(self, name: str, offset: int) -> None:
        self._close()
        self._fd = files.open_file(name, self._logs)
        self._cursor = self._cursor._replace(start=cursor.start_of(self._fd), offset=offset)
        if os.fstat(self._fd).st_size < offset:
            self._cursor = self._begin_epoch()._replace(start=self._cursor.start)

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _encode(number: int, line: bytes, longest: int) -> list[object]:
    record = parse_record(line) or Record(time.time_ns(), "stdout", line)
    raw = binascii.b2a_base64(record.raw[:longest], newline=False).decode()
    return [number, record.time_ns, record.stream, raw, record.partial]
