"""Waiting for files that other processes put into a folder: inotify, by way of libc.

The kernel tells at once and costs nothing while nothing happens. What is told is only a hint: a
reader looks at the file, waits, and looks again, and does not wait longer than it can afford to
miss one.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import struct
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger("the0.watch")

_LIBC = ctypes.CDLL(None, use_errno=True)
_MOVED_HERE = 0x80
_OVERFLOWN = 0x4000
_HEAD = struct.Struct("iIII")
_READ = 1 << 16


class Change:
    """Set when a file was put in place."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def note(self) -> None:
        self._event.set()

    async def wait(self, seconds: float) -> bool:
        """Wait for the next one, at most so long; whether it came."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class FolderWatch:
    """Tells of files that are renamed into `folder`, as :func:`the0.files.write_atomic` does.

    Belongs to one event loop. Where the kernel grants no more watches, a warning says so, and
    whoever waits only looks again when its time is over.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: defaultdict[str, set[Change]] = defaultdict(set)
        self._handle: int | None = None
        self._tried = False
        self.closed = False

    @contextmanager
    def of(self, name: str) -> Iterator[Change]:
        """What happens to the file `name` from now on; look at it only inside."""
        self._attach()
        change = Change()
        self._waiting[name].add(change)
        try:
            yield change
        finally:
            self._waiting[name].discard(change)
            if not self._waiting[name]:
                del self._waiting[name]

    def close(self) -> None:
        """Watch no more; whoever waits is woken to find it closed."""
        self.closed = True
        for change in {one for waiting in self._waiting.values() for one in waiting}:
            change.note()
        if self._handle is not None:
            asyncio.get_running_loop().remove_reader(self._handle)
            os.close(self._handle)
            self._handle = None

    def _attach(self) -> None:
        if self._tried:
            return
        self._tried = True
        try:
            self._handle = _watch(self._folder)
        except OSError as error:
            log.warning("%s cannot be watched, so answers come late: %s", self._folder, error)
            return
        asyncio.get_running_loop().add_reader(self._handle, self._told)

    def _told(self) -> None:
        assert self._handle is not None
        for name in _names(os.read(self._handle, _READ)):
            told = [name] if name is not None else list(self._waiting)
            for one in told:
                for change in self._waiting.get(one, ()):
                    change.note()


def _watch(folder: Path) -> int:
    handle = _checked(_LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    try:
        _checked(_LIBC.inotify_add_watch(handle, os.fsencode(folder), _MOVED_HERE))
    except OSError:
        os.close(handle)
        raise
    return handle


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _names(data: bytes) -> Iterator[str | None]:
    """The files that the kernel tells of; None when it lost count."""
    at = 0
    while at < len(data):
        _, mask, _, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        name = data[at : at + length].rstrip(b"\0")
        at += length
        yield None if mask & _OVERFLOWN else os.fsdecode(name)
