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
_OWN = stat.S_IRUSR | stat.S_IWUSR
_ASIDE = ".aside"


class LogFile:
    """Writes lines to `bot.log` in the folder `path`, at most `limits.files` files of about
    `limits.max_bytes` each. `on_loss(lines, why)` is told of every line that nobody will see.
    Once made it never fails, whatever becomes of the folder or the disk: lines are lost then."""

    def __init__(
        self, path: str, var: int, limits: Logs, on_loss: Callable[[int, str], None]
    ) -> None:
        self._path = path
        self._logs = files.make_folder(path)
        with suppress(OSError):
            files.remove(self._logs, _ASIDE)
        self._var = var
        self.limits = limits
        self._on_loss = on_loss
        self._last_ns = 0
        self._fd, self._size = self._open()

    def append(self, stream: str, lines: Sequence[Line]) -> None:
        """Write `lines`, received now on `stream`, in one piece."""
        # Strictly growing, because the first stamp of a file is its name (cursor.Cursor).
        self._last_ns = now = max(time.time_ns(), self._last_ns + 1)
        data = b"".join(
            format_record(Record(now, stream, line.raw, line.partial)) for line in lines
        )
        if self._size and self._size + len(data) > self.limits.max_bytes:
            try:
                self._rotate()
            except OSError as error:
                self._on_loss(len(lines), f"the log could not be rotated: {error.strerror}")
                return
        self._write(data, len(lines))

    def check(self) -> None:
        """Begin a new file where somebody took the current one, or its folder, away."""
        with suppress(OSError):
            self._logs = files.reopen_folder(self._logs, self._path)
            if not self._is_current():
                self._reopen()

    def _is_current(self) -> bool:
        try:
            status = os.stat(cursor.CURRENT, dir_fd=self._logs, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(status, os.fstat(self._fd))

    def _reopen(self) -> None:
        """Go on in the file that has the name now. Raises OSError, and has then changed nothing."""
        fd, size = self._open()
        os.close(self._fd)
        self._fd, self._size = fd, size

    def _open(self) -> tuple[int, int]:
        """The current file and its size."""
        self._make_way()
        fd = os.open(cursor.CURRENT, _APPEND, 0o644, dir_fd=self._logs)
        try:
            size = os.fstat(fd).st_size
            # The launch before this one may have been killed in the middle of a line.
            if size and os.pread(fd, 1, size - 1) != b"\n":
                size += os.write(fd, b"\n")
        except OSError:
            os.close(fd)
            raise
        return fd, size

    def _make_way(self) -> None:
        """Nothing but a file that can be opened has our name."""
        with suppress(FileNotFoundError):
            mode = os.stat(cursor.CURRENT, dir_fd=self._logs, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                # To remove what a bot may put there takes long, and the bot is waited for here.
                os.rename(cursor.CURRENT, _ASIDE, src_dir_fd=self._logs, dst_dir_fd=self._logs)
            elif not stat.S_ISREG(mode):
                os.unlink(cursor.CURRENT, dir_fd=self._logs)
            elif mode & _OWN != _OWN:
                os.chmod(cursor.CURRENT, 0o644, dir_fd=self._logs)

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
        """Raises OSError where no new file can be made; then it is to be tried again."""
        names = cursor.file_names(self.limits.files)
        lost = self._remove(names[0])
        for newer, older in zip(names[1:], names, strict=False):
            with suppress(OSError):
                os.rename(newer, older, src_dir_fd=self._logs, dst_dir_fd=self._logs)
        if lost:
            self._on_loss(lost, "the gateway did not take them before the log was full")
        self._reopen()

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
