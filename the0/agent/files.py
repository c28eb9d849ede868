"""Files in folders that a bot can write to: nothing is ever opened through a link, and nothing
that is opened can block."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

DEEPEST = 128
"""Folders nested deeper than this are refused: each level costs an open file while walking."""


class TooDeep(Exception):
    """Folders are nested deeper than :data:`DEEPEST`."""


class Found(NamedTuple):
    """An entry of a walk: `path` relative to where it began, `status` of the entry itself."""

    path: str
    status: os.stat_result

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.status.st_mode)


def open_folder(path: str, below: int | None = None) -> int:
    """A file descriptor of the folder `path`, which is no link."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=below)


def open_file(path: str, below: int) -> int:
    """A file descriptor for reading the regular file `path` (relative to the folder `below`), no
    part of which is a link. Raises OSError for anything else."""
    *folders, name = path.split("/")
    folder = os.dup(below)
    try:
        for part in folders:
            inner = open_folder(part, folder)
            os.close(folder)
            folder = inner
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(f"{path} is not a regular file")
    return fd


def walk(folder: int, prefix: str = "", depth: int = 0, *, strict: bool = False) -> Iterator[Found]:
    """Everything below `folder`, in no particular order; links are named, never followed. What
    vanishes meanwhile is left out, and so is what may not be read unless `strict`: then it is a
    PermissionError with its path. Raises TooDeep."""
    if depth > DEEPEST:
        raise TooDeep(f"{prefix}: folders are nested deeper than {DEEPEST}")
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                found = Found(prefix + entry.name, entry.stat(follow_symlinks=False))
            except OSError as error:
                _tolerate(error, prefix + entry.name, strict)
                continue
            yield found
            if found.is_folder:
                yield from _walk_inner(folder, entry.name, found.path, depth, strict)


def _walk_inner(folder: int, name: str, path: str, depth: int, strict: bool) -> Iterator[Found]:
    try:
        inner = open_folder(name, folder)
    except OSError as error:
        _tolerate(error, path, strict)
        return
    try:
        yield from walk(inner, path + "/", depth + 1, strict=strict)
    finally:
        os.close(inner)


def _tolerate(error: OSError, path: str, strict: bool) -> None:
    if strict and isinstance(error, PermissionError):
        raise PermissionError(error.errno, error.strerror, path) from error


def clear(folder: int, keep: str = "") -> None:
    """Remove everything in `folder` but the entry named `keep`."""
    for name in os.listdir(folder):
        if name != keep:
            remove(folder, name)


def remove(folder: int, name: str) -> None:
    """Remove the entry `name` of `folder`, with everything in it; nothing where there is none."""
    if _unlink(folder, name):
        return
    top = _open_writable(folder, name)
    try:
        # Folders are moved up as they are found, so that no depth costs stack or open files.
        waiting = os.listdir(top)
        while waiting:
            waiting += _dissolve(top, waiting.pop())
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=folder)


def _dissolve(top: int, name: str) -> list[str]:
    """Remove the entry `name` of `top`; the names that its inner folders have in `top` now."""
    if _unlink(top, name):
        return []
    inner, moved = _open_writable(top, name), []
    try:
        for below in os.listdir(inner):
            if not _unlink(inner, below):
                os.close(_open_writable(inner, below))  # or it could not be moved
                moved.append(f".{os.urandom(8).hex()}")
                os.rename(below, moved[-1], src_dir_fd=inner, dst_dir_fd=top)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=top)
    return moved


def _unlink(folder: int, name: str) -> bool:
    """Remove what is no folder; False for a folder."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return True
    except IsADirectoryError:
        return False
    return True


def _open_writable(folder: int, name: str) -> int:
    try:
        inner = open_folder(name, folder)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=folder)
        inner = open_folder(name, folder)
    os.fchmod(inner, 0o700)
    return inner


def make_folder(path: str) -> int:
    """Open the folder `path`, made anew where something else (or nothing) has its name."""
    try:
        return open_folder(path)
    except FileNotFoundError:
        pass
    except OSError:
        os.unlink(path)
    os.mkdir(path, 0o755)
    return open_folder(path)


def is_at(folder: int, path: str) -> bool:
    """Whether `path` still is the open folder `folder`."""
    try:
        return os.path.samestat(os.fstat(folder), os.stat(path, follow_symlinks=False))
    except OSError:
        return False


def reopen_folder(folder: int, path: str) -> int:
    """`folder` where it still is at `path`; else the one that is (made anew where there is none),
    and `folder` is closed."""
    if is_at(folder, path):
        return folder
    another = make_folder(path)
    os.close(folder)
    return another


def read_small(folder: int, name: str, limit: int) -> bytes | None:
    """The content of a regular file of at most `limit` bytes; None where there is none such."""
    content = read_beginning(folder, name, limit + 1)
    return content if content is not None and len(content) <= limit else None


def read_beginning(folder: int, name: str, most: int) -> bytes | None:
    """At most the first `most` bytes of a regular file; None where there is none such."""
    try:
        fd = open_file(name, folder)
    except OSError:
        return None
    with open(fd, "rb") as file:
        return file.read(most)


def replace(folder: int, name: str, content: bytes, *, durable: bool = False) -> None:
    """Put `content` in the place of the file `name`, whole or not at all; `durable` also over a
    loss of power."""
    temporary = f".{name}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
    with open(os.open(temporary, flags, 0o644, dir_fd=folder), "wb") as file:
        file.write(content)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    if durable:
        os.fsync(folder)


def spool(folder: int) -> int:
    """A new file in `folder` without a name: it is gone when it is closed, whatever happens."""
    name = f".spool-{os.urandom(8).hex()}"
    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    os.unlink(name, dir_fd=folder)
    return fd
