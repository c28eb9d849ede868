"""bot.log on the volume: appended, rotated, bounded."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from the0.agent import cursor, files
from the0.agent.launch import Logs
from the0.agent.lines import Line
from the0.agent.records import Record, format_record

_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK


class LogFile:
    """Writes lines to `bot.log` in `logs`, at most `limits.files` files of about
    `limits.max_bytes` each. `on_loss(lines, why)` is told of every line that nobody will see."""

    def __init__(
        self, logs: int, var: int, limits: Logs, on_loss: Callable[[int, str], None]
    ) -> None:
        self._logs = logs
        self._var = var
        self.limits = limits
        self._on_loss = on_loss
        self._last_ns = 0
        self._fd = self._open()

    def append(self, stream: str, lines: Sequence[Line]) -> None:
        """Write `lines`, received now on `stream`, in one piece."""
        # Strictly growing, because the first stamp of a file is its name (cursor.Cursor).
        self._last_ns = now = max(time.time_ns(), self._last_ns + 1)
        data = b"".join(
            format_record(Record(now, stream, line.raw, line.partial)) for line in lines
        )
        if self._size and self._size + len(data) > self.limits.max_bytes:
            self._rotate()
        self._write(data, len(lines))

    def check(self) -> None:
        """Begin a new file where somebody took the current one away."""
        with suppress(OSError):
            if os.fstat(self._fd).st_nlink:
                return
        os.close(self._fd)
        self._fd = self._open()

    def _open(self) -> int:
        try:
            status = os.stat(cursor.CURRENT, dir_fd=self._logs, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                files.remove(self._logs, cursor.CURRENT)
        except FileNotFoundError:
            pass
        fd = os.open(cursor.CURRENT, _APPEND, 0o644, dir_fd=self._logs)
        self._size = os.fstat(fd).st_size
        # The launch before this one may have been killed in the middle of a line.
        if self._size and os.pread(fd, 1, self._size - 1) != b"\n":
            self._size += os.write(fd, b"\n")
        return fd

    def _write(self, data: bytes, count: int) -> None:
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            self._on_loss(count, f"the log could not be written: {error.strerror}")
            return
        self._size += written
        if written < len(data):
            self._on_loss(data[written:].count(b"\n"), "the disk is full")
            with suppress(OSError):
                self._size += os.write(self._fd, b"\n")

    def _rotate(self) -> None:
        names = cursor.file_names(self.limits.files)
        lost = self._remove(names[0])
        for newer, older in zip(names[1:], names, strict=False):
            with suppress(OSError):
                os.rename(newer, older, src_dir_fd=self._logs, dst_dir_fd=self._logs)
        os.close(self._fd)
        self._fd = self._open()
        if lost:
            self._on_loss(lost, "the gateway did not take them before the log was full")

    def _remove(self, name: str) -> int:
        try:
            fd = files.open_file(name, self._logs)
        except OSError:
            return 0
        try:
            os.unlink(name, dir_fd=self._logs)
            return cursor.count_unshipped(fd, cursor.load(self._var))
        finally:
            os.close(fd)
