"""One runner acts: a lock on a file, given back by the kernel when its holder dies."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

from the0.errors import The0Error

_RETRY_SEC = 0.1


class Leadership:
    """An exclusive `flock` on `path`; the file holds the process id of who has it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    @property
    def held(self) -> bool:
        return self._handle is not None

    def try_acquire(self) -> bool:
        """Take the lock if it is free. Raises The0Error when the file cannot be used at all."""
        if self._handle is not None:
            return True
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise The0Error(f"cannot open the lock {self.path}: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle
        return True

    async def acquire(self) -> None:
        """Wait for the lock; taken a moment after its holder dies."""
        while not self.try_acquire():  # noqa: ASYNC110 - another process holds it, no event tells
            await asyncio.sleep(_RETRY_SEC)

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock on `path`; also where this user may not look."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
