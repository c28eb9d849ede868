"""A snapshot of the state folder. Only for short-lived forks: imports what is large."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import time
from typing import BinaryIO, NamedTuple

from the0.agent import files
from the0.agent.files import Found
from the0.agent.launch import Sync
from the0.agent.tree import Entry, TreeHash, listing

_IN_MEMORY = 1 << 20
_CHUNK = 1 << 18
_PAUSES_SEC = (0.01, 0.05, 0.2)
_GZIP_LEVEL = 3


class NotStorable(Exception):
    """The state is over a limit or cannot be read; the text names the file and the limit,
    `subject` the file or the whole of them."""

    def __init__(self, message: str, subject: str) -> None:
        super().__init__(message)
        self.subject = subject


class Snapshot(NamedTuple):
    """A finished `state.tar.gz`: `file` stands at its beginning."""

    file: BinaryIO
    length: int
    tree: str
    sha256: str


class _Copy(NamedTuple):
    """What was read of a file, in one piece: `file` stands at its beginning."""

    file: BinaryIO
    status: os.stat_result
    digest: str
    size: int


def check(found: list[Found], limits: Sync) -> None:
    """Raises NotStorable where a file or the whole is over its limit."""
    total = 0
    for each in found:
        if not each.is_file:
            continue
        size = each.status.st_size
        total += size
        if size > limits.max_file_bytes:
            raise NotStorable(
                f"state not saved: {each.path} has {size:,} bytes, "
                f"the limit for a file is {limits.max_file_bytes:,}",
                each.path,
            )
    if total > limits.max_state_bytes:
        raise NotStorable(
            f"state not saved: it has {total:,} bytes in all, the limit is "
            f"{limits.max_state_bytes:,}",
            "the whole",
        )


def take(state: int, spool_folder: int, limits: Sync) -> Snapshot:
    """A snapshot of the folder `state`; its temporary files are in `spool_folder` and have no
    names. Files that change while they are read are read again; the tree hash is of exactly what
    the archive holds. Raises NotStorable and OSError."""
    found = listing(state)
    check(found, limits)
    target = os.fdopen(files.spool(spool_folder), "w+b")
    tree = TreeHash()
    with (
        gzip.GzipFile("", "wb", _GZIP_LEVEL, target, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for each in found:
            entry = _add(archive, each, state, spool_folder, limits)
            if entry:
                tree.add(entry)
            archive.getmembers().clear()  # which it keeps all of
    length = target.tell()
    target.seek(0)
    digest = hashlib.file_digest(target, "sha256").hexdigest()
    target.seek(0)
    return Snapshot(target, length, tree.hexdigest(), digest)


def _add(
    archive: tarfile.TarFile, found: Found, state: int, spool_folder: int, limits: Sync
) -> Entry | None:
    if found.is_folder:
        archive.addfile(_member(found.path, found.status, tarfile.DIRTYPE))
        return Entry(found.path, True, found.status.st_mode & 0o7777)
    copy = _copy(state, found.path, spool_folder, limits)
    if copy is None:
        return None
    with copy.file:
        member = _member(found.path, copy.status, tarfile.REGTYPE)
        member.size = copy.size
        archive.addfile(member, copy.file)
    return Entry(found.path, False, copy.status.st_mode & 0o7777, copy.size, copy.digest)


def _member(path: str, status: os.stat_result, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.type = kind
    member.mode = status.st_mode & 0o777
    member.mtime = int(status.st_mtime)
    member.uid = member.gid = 1000
    return member


def _copy(state: int, path: str, spool_folder: int, limits: Sync) -> _Copy | None:
    """The content of a file that did not change while it was read; after the last attempt what
    was read then. None for a file that is gone."""
    for pause in (*_PAUSES_SEC, None):
        try:
            source = files.open_file(path, state)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise NotStorable(f"state not saved: {path}: {error.strerror}", path) from error
        with open(source, "rb", buffering=0) as file:
            before = os.fstat(source)
            copy = _read(file, before, spool_folder, limits.max_file_bytes, path)
            unchanged = _version(before) == _version(os.fstat(source))
        if unchanged or pause is None:
            return copy
        copy.file.close()
        time.sleep(pause)
    return None


def _read(file: BinaryIO, status: os.stat_result, spool_folder: int, most: int, path: str) -> _Copy:
    # Large files take the way over the disk, so that memory stays small and constant.
    small = status.st_size <= _IN_MEMORY
    target: BinaryIO = io.BytesIO() if small else os.fdopen(files.spool(spool_folder), "w+b")
    digest, size = hashlib.sha256(), 0
    while piece := file.read(_CHUNK):
        digest.update(piece)
        size += len(piece)
        if size > most:
            raise NotStorable(
                f"state not saved: {path} grows beyond the limit for a file, {most:,} bytes", path
            )
        target.write(piece)
    target.seek(0)
    return _Copy(target, status, digest.hexdigest(), size)


def _version(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
