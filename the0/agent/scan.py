"""Looks at the bot's folders without reading a file: has its state changed, how much disk does it
use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from the0.agent import files
from the0.agent.files import Found
from the0.agent.paths import Paths

_BLOCK = 512
_LEAST_BLOCKS = 8
"""What an entry counts for at least, folders and empty files included: each takes an inode, of
which a disk has only so many."""


class Scan(NamedTuple):
    """`signature` differs when anything in the state folder was changed; `disk_bytes` is what
    /bot, /state and /var/the0 take on the disk, at least 4 KiB an entry, files included that have
    no name any more but are still open."""

    signature: int
    disk_bytes: int


def scan(paths: Paths, supervisor: int) -> Scan:
    """Look at all three folders, and at what the descendants of `supervisor` keep open. Raises
    :class:`files.TooDeep` for folders that hide their size."""
    signature, used = 0, 0
    linked: set[int] = set()
    for found in _walk(paths.state):
        used += _blocks(found, linked)
        signature ^= hash(_version(found))
    for folder in (paths.bot, paths.var):
        linked.clear()
        used += sum(_blocks(found, linked) for found in _walk(folder))
    used += _nameless(supervisor, {os.stat(path).st_dev for path in (paths.bot, paths.state)})
    return Scan(signature, used * _BLOCK)


def _blocks(found: Found, linked: set[int]) -> int:
    """What an entry takes; nothing for one more name of a file that is among `linked` already."""
    status = found.status
    if status.st_nlink > 1 and not found.is_folder:
        if status.st_ino in linked:
            return 0
        linked.add(status.st_ino)
    return max(_LEAST_BLOCKS, status.st_blocks)


def _nameless(supervisor: int, devices: set[int]) -> int:
    """The blocks of removed files that a process below `supervisor` still has open. The agent's
    own processes cannot be looked into, and neither can one that hides as they do."""
    blocks: dict[tuple[int, int], int] = {}
    for pid in _descendants(supervisor):
        with suppress(OSError), os.scandir(f"/proc/{pid}/fd") as descriptors:
            for descriptor in descriptors:
                with suppress(OSError):
                    status = descriptor.stat()
                    if status.st_nlink == 0 and status.st_dev in devices:
                        taken = max(_LEAST_BLOCKS, status.st_blocks)
                        blocks[status.st_dev, status.st_ino] = taken
    return sum(blocks.values())


def _descendants(pid: int) -> Iterator[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for thread in threads:
        with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
            for child in map(int, file.read().split()):
                yield child
                yield from _descendants(child)


def _walk(path: str) -> Iterator[Found]:
    try:
        folder = files.open_folder(path)
    except OSError:
        return
    try:
        yield from files.walk(folder)
    finally:
        os.close(folder)


def _version(found: Found) -> tuple[object, ...]:
    status = found.status
    if found.is_folder:
        # A folder's own times change with what is in it, which is looked at anyway.
        return found.path, status.st_mode
    times = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return found.path, status.st_mode, status.st_ino, *times
