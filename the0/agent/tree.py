"""The tree hash: what a state folder holds, as one number."""

from __future__ import annotations

import hashlib
import os
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


class TreeHash:
    """The tree hash (docs/gateway.md) of entries that are added in the byte order of their paths,
    none of which is kept: a state may have very many."""

    def __init__(self) -> None:
        self._total = hashlib.sha256()

    def add(self, entry: Entry) -> None:
        self._total.update(
            b"%c\0%s\0%c\0%d\0%s\n"
            % (
                b"d" if entry.is_folder else b"f",
                os.fsencode(entry.path),
                b"x" if entry.mode & 0o111 else b"-",
                entry.size,
                entry.digest.encode(),
            )
        )

    def hexdigest(self) -> str:
        return self._total.hexdigest()


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
    total = TreeHash()
    for found in listing(folder):
        mode = found.status.st_mode & 0o7777
        if found.is_folder:
            total.add(Entry(found.path, True, mode))
        elif (content := _hash_file(folder, found.path)) is not None:
            total.add(Entry(found.path, False, mode, *content))
    return total.hexdigest()


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
