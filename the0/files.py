"""Writing files so that a reader, or a restart after a power cut, sees all or nothing."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterable
from pathlib import Path


def write_atomic(
    path: Path, data: bytes | Iterable[bytes], mode: int = 0o600, *, durable: bool = True
) -> None:
    """Replace `path` by `data` (perhaps in pieces): written beside it, synced, renamed.

    Without `durable` nothing is synced: readers still see all or nothing, but after a power cut
    there may be nothing. Raises OSError, and what the pieces raise; `path` is then as it was.
    """
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.writelines((data,) if isinstance(data, bytes) else data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(path.parent)


def write_all(file: io.RawIOBase, data: bytes) -> None:
    """Write all of `data` to an unbuffered file. Raises OSError; a part may then be written."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) or 0 :]


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
