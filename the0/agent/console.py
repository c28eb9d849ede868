"""A copy of every line on the container's own standard output, which nobody may be reading."""

from __future__ import annotations

import os
from collections.abc import Sequence

from the0.agent.lines import Line

_MOST_WAITING = 256 * 1024


class Console:
    """Writes to `fd` without ever blocking: what does not fit waits, what does not fit there
    either is dropped and counted in the output itself."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._waiting = b""
        self._dropped = 0
        os.set_blocking(fd, False)

    def write(self, lines: Sequence[Line]) -> None:
        """Show `lines`, or drop them."""
        self.flush()
        if self._dropped and not self._waiting:
            self._waiting = b"[the0: %d lines were dropped here]\n" % self._dropped
            self._dropped = 0
        data = b"".join(line.raw + (b"" if line.partial else b"\n") for line in lines)
        if len(self._waiting) + len(data) > _MOST_WAITING:
            self._dropped += len(lines)
            return
        self._waiting += data
        self.flush()

    def flush(self) -> None:
        """Write as much of what waits as can be written now."""
        while self._waiting:
            try:
                self._waiting = self._waiting[os.write(self._fd, self._waiting) :]
            except BlockingIOError:
                return
            except OSError:
                self._waiting = b""
