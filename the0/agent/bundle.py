"""The bot's code: fetched, checked, unpacked. Only for short-lived forks: imports what is large."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import time
import zipfile
import zlib
from typing import BinaryIO

from the0.agent import files
from the0.agent.client import Gateway, Refused, Unavailable, drain_to
from the0.agent.job import Job
from the0.agent.launch import Archive, Launch
from the0.agent.paths import Paths

_CHUNK = 1 << 18
_END_RECORD = b"PK\x05\x06"
_ZIP64_LOCATOR, _LOCATOR_SIZE = b"PK\x06\x07", 20
_LONGEST_NAME = 1024
_RATIO_FROM_BYTES = 1 << 20


class InvalidCode(Exception):
    """The archive cannot be used, however often it is fetched; the text says why."""


def fetch(job: Job) -> None:
    """Unpack the bot's code into its folder. Raises Unavailable, Refused, InvalidCode."""
    paths, launch = job.paths, job.launch
    bot, var = files.open_folder(paths.bot), files.open_folder(paths.var)
    try:
        files.clear(bot)
        with open(files.spool(var), "w+b") as file:
            _download(job.gateway, file, launch.archive)
            unpack(file, paths.bot, launch.archive)
    except OSError as error:
        raise Unavailable(f"the code folder cannot be used: {error}") from error
    finally:
        os.close(bot)
        os.close(var)
    _make_executable(paths, launch)
    _check_entrypoint(paths, launch)


def _download(gateway: Gateway, file: BinaryIO, bounds: Archive) -> None:
    digest = hashlib.sha256()
    write, size = drain_to(file.fileno()), 0

    def sink(piece: bytes) -> None:
        nonlocal size
        size += len(piece)
        if size > bounds.max_bytes:
            raise InvalidCode(f"the code archive is larger than {bounds.max_bytes:,} bytes")
        digest.update(piece)
        write(piece)

    try:
        answer = gateway.get("/v1/code", sink)
    except Refused as error:
        if error.code == "invalid_archive":
            raise InvalidCode(str(error)) from error
        raise
    if answer.headers.get("x-the0-sha256", "").lower() != digest.hexdigest():
        raise Unavailable("the code archive arrived damaged: its hash is wrong")


def unpack(file: BinaryIO, target: str, bounds: Archive) -> None:
    """Unpack a zip of regular files and folders into the empty folder `target`, within `bounds`.
    Raises InvalidCode, naming what is wrong."""
    deadline = time.monotonic() + bounds.max_sec
    size = file.seek(0, os.SEEK_END)
    most = bounds.max_bytes
    if size * bounds.max_ratio < most:
        most = max(_RATIO_FROM_BYTES, int(size * bounds.max_ratio))
    try:
        _check_directory(file, bounds)
        with zipfile.ZipFile(file) as archive:
            if len(archive.infolist()) > bounds.max_entries:
                raise InvalidCode(f"the code archive has more than {bounds.max_entries:,} entries")
            for entry in archive.infolist():
                most -= _unpack_entry(archive, entry, target, most, deadline)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise InvalidCode(f"the code archive is broken: {error}") from error
    except RuntimeError as error:
        raise InvalidCode(f"the code archive is encrypted: {error}") from error
    except OSError as error:
        raise InvalidCode(f"the code archive could not be unpacked: {error}") from error


def _check_directory(file: BinaryIO, bounds: Archive) -> None:
    """Refuse a list of entries that would not fit into memory, before it is read into it."""
    tail = min(file.seek(0, os.SEEK_END), 22 + 0xFFFF + _LOCATOR_SIZE)
    file.seek(-tail, os.SEEK_END)
    end = file.read(tail)
    at = end.rfind(_END_RECORD)
    if at < 0 or len(end) - at < 22:
        raise InvalidCode("the code archive is broken: it is no zip, or its end is missing")
    if end[max(0, at - _LOCATOR_SIZE) :].startswith(_ZIP64_LOCATOR):
        # Its numbers would count and not those checked here; no archive within bounds needs it.
        raise InvalidCode("the code archive is a Zip64 archive, which is not supported")
    entries, size = struct.unpack_from("<HI", end, at + 10)
    if entries > bounds.max_entries or size > bounds.max_entries * _LONGEST_NAME:
        raise InvalidCode(f"the code archive has more than {bounds.max_entries:,} entries")


def _unpack_entry(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: str, most: int, deadline: float
) -> int:
    path = os.path.join(target, _safe(entry.filename))
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise InvalidCode(f"the code archive holds {entry.filename!r}, no regular file or folder")
    if entry.is_dir():
        os.makedirs(path, exist_ok=True)
        return 0
    os.makedirs(os.path.dirname(path), exist_ok=True)
    permissions = 0o755 if mode & 0o111 else 0o644
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    written = 0
    with (
        archive.open(entry) as source,
        open(os.open(path, flags, permissions), "wb", buffering=0) as file,
    ):
        while piece := source.read(_CHUNK):
            written += len(piece)
            if written > most:
                raise InvalidCode("the code archive unpacks to more than it may")
            if time.monotonic() > deadline:
                raise InvalidCode("the code archive takes too long to unpack")
            file.write(piece)
    return written


def _safe(name: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or not parts:
        raise InvalidCode(f"the code archive names {name!r}, which is outside of its folder")
    if len(parts) > files.DEEPEST:
        raise InvalidCode(f"the code archive nests folders deeper than {files.DEEPEST}")
    return "/".join(parts)


def _make_executable(paths: Paths, launch: Launch) -> None:
    for name in launch.executables:
        path = os.path.join(paths.bot, _safe(name))
        if os.path.isfile(path):
            os.chmod(path, 0o755)


def _check_entrypoint(paths: Paths, launch: Launch) -> None:
    """The entrypoint is there: by its own name, or in the command, for languages that add to it."""
    entrypoint = launch.entrypoints.get(launch.main, "")
    below = paths.bot.rstrip("/") + "/"
    words = [word for word in launch.commands[launch.main] if word.startswith(below)]
    if not any(os.path.isfile(path) for path in (os.path.join(below, entrypoint), *words)):
        raise InvalidCode(f"the code archive lacks the entrypoint {entrypoint!r}")
