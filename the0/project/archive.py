"""Archives from strangers: opened within bounds, and understood, before they are stored."""

from __future__ import annotations

import errno
import os
import stat
import struct
import time
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from the0.errors import InvalidArchive
from the0.project.config import MAX_FILE_BYTES, BotConfig, read_config
from the0.settings import ArchiveSettings

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x1
STRANGE = frozenset("\\\0")
END_RECORD = b"PK\x05\x06"
ZIP64_LOCATOR, LOCATOR_SIZE = b"PK\x06\x07", 20
END_SIZE = 22
END_MOST = END_SIZE + 0xFFFF
LONGEST_NAME = 1024
DEEPEST = 128
"""Folders nested deeper than this the agent refuses, in the code as in the state."""

CHUNK = 256 * 1024
MIB = 1024 * 1024


@dataclass(frozen=True)
class ArchivedProject:
    """A code archive that a container can unpack; `bytes` is its unpacked size."""

    config: BotConfig
    entries: int
    bytes: int


def read_archive(path: Path, limits: ArchiveSettings) -> ArchivedProject:
    """Check the zip at `path` as the agent will, and read the project in it.

    Blocks while it unpacks everything once (to nowhere). Raises InvalidArchive for a broken
    archive or one out of bounds, InvalidInput for faults of the project in it.
    """
    try:
        _check_end(path, limits)
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_directory(entries, limits)
            _check_content(archive, entries, path.stat().st_size, limits)
            config = read_config(lambda name: _content(archive, name))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise InvalidArchive(f"this is not a sound zip archive: {error}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # a seek to where no offset can point
            raise
        raise InvalidArchive("this is not a sound zip archive: an offset is wrong") from error
    return ArchivedProject(config, len(entries), sum(entry.file_size for entry in entries))


def _check_end(path: Path, limits: ArchiveSettings) -> None:
    """Refuse a list of entries too large for memory, before zipfile reads it there."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - END_MOST - LOCATOR_SIZE))
        end = file.read()
    at = end.rfind(END_RECORD)
    if at < 0 or len(end) - at < END_SIZE:
        raise InvalidArchive("this is not a zip archive, or its end is missing")
    if end[max(0, at - LOCATOR_SIZE) :].startswith(ZIP64_LOCATOR):
        # Its numbers would count and not those checked here; no archive within bounds needs it.
        raise InvalidArchive("this is a Zip64 archive, which is not supported")
    count, size = struct.unpack_from("<HI", end, at + 10)
    if count > limits.max_entries or size > limits.max_entries * LONGEST_NAME:
        raise _too_many(limits)


def _too_many(limits: ArchiveSettings) -> InvalidArchive:
    return InvalidArchive(f"the archive has more than {limits.max_entries} entries")


def _check_directory(entries: list[zipfile.ZipInfo], limits: ArchiveSettings) -> None:
    if len(entries) > limits.max_entries:
        raise _too_many(limits)
    faults = [f"{entry.filename!r}: {text}" for entry in entries if (text := _entry_fault(entry))]
    if faults := faults or _name_clashes(entries):
        raise InvalidArchive("the archive has entries that are not allowed", faults[:20])


def _entry_fault(entry: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is neither a file nor a folder"
    if entry.flag_bits & ENCRYPTED:
        return "is encrypted"
    if entry.compress_type not in METHODS:
        return "is neither stored nor deflated"
    return _name_fault(entry)


def _name_fault(entry: zipfile.ZipInfo) -> str | None:
    name = PurePosixPath(entry.filename)
    if not name.parts or name.is_absolute() or ".." in name.parts:
        return "leads out of the bot's folder"
    if len(name.parts) > DEEPEST:
        return f"lies {DEEPEST} folders deep or deeper"
    if set(entry.orig_filename) & STRANGE:
        return "has a backslash or a zero byte in its name"
    return None


def _name_clashes(entries: list[zipfile.ZipInfo]) -> list[str]:
    """Names that stand twice, or that are a file here and a folder there."""
    names: set[PurePosixPath] = set()
    clashes = []
    files = {PurePosixPath(entry.filename) for entry in entries if not entry.is_dir()}
    for entry in entries:
        name = PurePosixPath(entry.filename)
        if name in names or files.intersection(name.parents):
            clashes.append(f"{entry.filename!r}: stands in the archive twice")
        names.add(name)
    return clashes


def _check_content(
    archive: zipfile.ZipFile,
    entries: list[zipfile.ZipInfo],
    packed: int,
    limits: ArchiveSettings,
) -> None:
    """Unpack everything once, to nowhere: what an entry says about its size may be a lie."""
    allowed = min(limits.max_mb * MIB, max(packed * limits.max_ratio, MIB))
    deadline = time.monotonic() + limits.max_sec
    total = 0
    for entry in entries:
        with archive.open(entry) as source:
            while chunk := source.read(CHUNK):
                total += len(chunk)
                if total > allowed:
                    raise InvalidArchive(
                        f"unpacked, the archive is over {allowed} bytes (the limits are "
                        f"{limits.max_mb} MiB and {limits.max_ratio} times its packed size)"
                    )
                if time.monotonic() > deadline:
                    raise InvalidArchive(f"unpacking takes over {limits.max_sec} seconds")


def _content(archive: zipfile.ZipFile, name: str) -> bytes | None:
    try:
        with archive.open(name) as source:
            return source.read(MAX_FILE_BYTES + 1)
    except KeyError:
        return None
