"""Opens an archive of state. Only for short-lived forks: imports what is large."""

from __future__ import annotations

import contextlib
import gzip
import os
import tarfile
import zlib
from typing import BinaryIO

_MOST_ENTRIES = 1_000_000
_CHUNK = 1 << 18


class Damaged(Exception):
    """The archive is not one of state, or is torn; the text says where."""


def unpack(file: BinaryIO, folder: int, most_bytes: int) -> None:
    """Unpack a `state.tar.gz` of at most `most_bytes` into the empty folder `folder`: regular files
    and folders, of which nothing lands outside of it. Raises Damaged and OSError."""
    try:
        _extract(file, folder, most_bytes)
    except (EOFError, tarfile.TarError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        raise Damaged(str(error)) from error
    except (IsADirectoryError, NotADirectoryError) as error:
        raise Damaged(f"it has {error.filename!r} both as a file and as a folder") from error


def _extract(file: BinaryIO, folder: int, most_bytes: int) -> None:
    modes: list[tuple[str, int]] = []
    with gzip.GzipFile(fileobj=file) as packed:
        with tarfile.open(fileobj=packed, mode="r|") as archive:
            for number, member in enumerate(archive):
                most_bytes -= member.size
                if number >= _MOST_ENTRIES or most_bytes < 0:
                    raise ValueError("it is larger than a state may be")
                _extract_member(archive, member, folder, modes)
        # Only at the end of the stream its checksum is looked at.
        while packed.read(_CHUNK):
            pass
    for path, mode in reversed(modes):
        os.chmod(path, mode, dir_fd=folder)


def _extract_member(
    archive: tarfile.TarFile, member: tarfile.TarInfo, folder: int, modes: list[tuple[str, int]]
) -> None:
    path = _safe(member.name)
    if not path or not (member.isdir() or member.isreg()):
        return
    if member.isdir():
        _make_folders(path, folder)
        modes.append((path, (member.mode & 0o777) | 0o600))
        return
    _make_folders(os.path.dirname(path), folder)
    source = archive.extractfile(member)
    assert source is not None
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path, dir_fd=folder)  # of two entries with one name the last counts, as in tar
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    mode = (member.mode & 0o777) | 0o600
    with open(os.open(path, flags, mode, dir_fd=folder), "wb", buffering=0) as target:
        while piece := source.read(_CHUNK):
            target.write(piece)
        os.fchmod(target.fileno(), mode)
        os.utime(target.fileno(), (member.mtime, member.mtime))


def _safe(name: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise ValueError(f"it names {name!r}, which is outside of the state folder")
    return "/".join(parts)


def _make_folders(path: str, folder: int) -> None:
    made = ""
    for part in path.split("/") if path else ():
        made = f"{made}/{part}" if made else part
        try:
            os.mkdir(made, 0o755, dir_fd=folder)
        except FileExistsError:
            continue
