"""The tree hash: what a state folder holds, as one number."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from typing import NamedTuple

from the0.agent.files import Found, open_file, walk

RESTORING = ".the0-restoring"
"""The folder in `/state` in which a restore is unpacked; never part of the state."""

_CHUNK = 1 << 20

EMPTY = hashlib.sha256().hexdigest()
"""The hash of a folder with nothing in it."""


class Entry(NamedTuple):
    """A folder (`digest` empty, `size` 0) or regular file of a tree; `mode` is its permissions."""

    path: str
    is_folder: bool
    mode: int
    size: int = 0
    digest: str = ""


def tree_hash(entries: Iterable[Entry]) -> str:
    """The tree hash of `entries`, given in any order (docs/gateway.md)."""
    total = hashlib.sha256()
    for entry in sorted(entries, key=lambda entry: os.fsencode(entry.path)):
        total.update(
            b"%c\0%s\0%c\0%d\0%s\n"
            % (
                b"d" if entry.is_folder else b"f",
                os.fsencode(entry.path),
                b"x" if entry.mode & 0o111 else b"-",
                entry.size,
                entry.digest.encode(),
            )
        )
    return total.hexdigest()


def listing(folder: int) -> list[Found]:
    """The folders and regular files of a state folder, in the byte order of their paths. Raises
    PermissionError for what cannot be read, and TooDeep."""
    found = [
        each
        for each in walk(folder, strict=True)
        if (each.is_folder or each.is_file) and each.path.partition("/")[0] != RESTORING
    ]
    return sorted(found, key=lambda each: os.fsencode(each.path))


def hash_folder(folder: int) -> str:
    """The tree hash of what is in `folder` now. Raises PermissionError and TooDeep."""
    entries = []
    for found in listing(folder):
        mode = found.status.st_mode & 0o7777
        if found.is_folder:
            entries.append(Entry(found.path, True, mode))
        elif (content := _hash_file(folder, found.path)) is not None:
            entries.append(Entry(found.path, False, mode, *content))
    return tree_hash(entries)


def _hash_file(folder: int, path: str) -> tuple[int, str] | None:
    try:
        fd = open_file(path, folder)
    except FileNotFoundError:
        return None
    digest, size = hashlib.sha256(), 0
    with open(fd, "rb", buffering=0) as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()
