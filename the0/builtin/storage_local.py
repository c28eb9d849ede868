"""Storage on a plain folder, for one machine: no server, no account.

Each object is one file: a line of JSON (etag, content type, metadata), then the content, so that
one rename replaces all of it. Keys become paths with few characters percent-encoded; a folder has
a `+` at the end of its name, which keeps the objects `a` and `a/b` apart.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, ClassVar
from urllib.parse import unquote

from the0.errors import Conflict, InvalidInput, NotFound, Unavailable
from the0.files import sync_directory
from the0.plugin import hookimpl
from the0.plugin.interfaces import ObjectInfo, ObjectReader, PluginArgs, Storage
from the0.settings import section, setting
from the0.settings_parsers import absolute_path

MAX_NAME_BYTES = 250
_SPECIAL = re.compile(r"[%+\x00-\x1f\x7f]|^\.")
"""What has a meaning of its own in our names; what begins with a dot is ours, or means a folder."""

_FOLDER = "+"
_EMPTY = "%"  # what no encoded name is
_PIECE = 1 << 20
_MAX_HEAD = 1 << 16
_SCRATCH = ".tmp"
_SCRATCH_SEC = 86400.0


@section("local")
class LocalSettings:
    folder: str = setting(
        "",
        "Folder of the storage plugin `local`; empty means <state dir>/storage.",
        parse=absolute_path,
    )


class LocalStorage(Storage):
    """Buckets are folders of `folder`. That one has to be there (a disk that is not mounted must
    not look like an empty store), unless it is the default one, which is made."""

    name: ClassVar[str] = "local"
    settings: ClassVar[type | None] = LocalSettings

    def __init__(self, args: PluginArgs, folder: str | None = None) -> None:
        """`folder` in place of the setting is for storages that begin with this one."""
        super().__init__(args)
        if folder is None:
            folder = args.section(LocalSettings).folder
        self._root = Path(folder) if folder else args.state_dir / "storage"
        self._may_make_root = not folder

    def ping(self) -> None:
        with self._translated("looking at the folder"):
            self._make_root()
            os.listdir(self._root)  # noqa: PTH208 - the answer counts, not its type

    def ensure_bucket(self, bucket: str) -> None:
        with self._translated(f"making bucket {bucket!r}"):
            self._make_root()
            folder = self._bucket(bucket)
            folder.mkdir(mode=0o700, exist_ok=True)
            _remove_old_scratch(folder)

    def head(self, bucket: str, key: str) -> ObjectInfo:
        with self.open(bucket, key) as found:
            return found.info

    def open(self, bucket: str, key: str) -> ObjectReader:
        with self._translated(f"reading {bucket}/{key}"):
            self._require(bucket)
            path = self._bucket(bucket) / path_of(key)
            try:
                file = path.open("rb")
            except (FileNotFoundError, IsADirectoryError):
                raise NotFound(f"There is no object {bucket}/{key}.") from None
            return _Reader(self, file, f"reading {bucket}/{key}", key)

    def put(
        self,
        bucket: str,
        key: str,
        body: BinaryIO,
        size: int,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        if_etag: str | None = None,
    ) -> ObjectInfo:
        """As the interface says. With `if_etag` only while the stored object has that etag (empty:
        while there is none); raises Conflict otherwise."""
        etag = secrets.token_hex(16)
        head = {"etag": etag, "content_type": content_type, "metadata": dict(metadata or {})}
        with self._translated(f"storing {bucket}/{key}"):
            self._require(bucket)
            folder = self._bucket(bucket)
            scratch = folder / f".{secrets.token_hex(8)}{_SCRATCH}"
            try:
                _write(scratch, head, body, size)
                with _locked(folder):
                    self._check(bucket, key, if_etag)
                    _move(scratch, folder / path_of(key))
            finally:
                scratch.unlink(missing_ok=True)
        return self.head(bucket, key)

    def delete(self, bucket: str, key: str) -> None:
        with self._translated(f"deleting {bucket}/{key}"):
            self._require(bucket)
            folder = self._bucket(bucket)
            path = folder / path_of(key)
            with _locked(folder):
                path.unlink(missing_ok=True)
                _prune(path.parent, folder)

    def list(self, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        with self._translated(f"listing {bucket}/{prefix}"):
            self._require(bucket)
            found = sorted(_keys(self._bucket(bucket), "", prefix), key=os.fsencode)
        for key in found:
            with suppress(NotFound):  # deleted since
                yield self.head(bucket, key)

    def _check(self, bucket: str, key: str, if_etag: str | None) -> None:
        if if_etag is None:
            return
        try:
            stored = self.head(bucket, key).etag
        except NotFound:
            stored = ""
        if stored != if_etag:
            raise Conflict(f"{bucket}/{key} was changed by somebody else; nothing was stored.")

    def _make_root(self) -> None:
        if self._may_make_root:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _bucket(self, bucket: str) -> Path:
        return self._root / _encoded(bucket)

    def _require(self, bucket: str) -> None:
        """A store without its bucket knows nothing of the objects in it."""
        if not self._bucket(bucket).is_dir():
            raise Unavailable(f"There is no bucket {bucket!r} in {self._root}.")

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise Unavailable(f"{what} in {self._root} failed: {reason}.") from error


class _Reader(ObjectReader):
    def __init__(self, storage: LocalStorage, file: BinaryIO, what: str, key: str) -> None:
        self._storage, self._file, self._what = storage, file, what
        try:
            self.info = _info(key, file)
        except BaseException:
            file.close()
            raise

    def read(self, size: int = -1) -> bytes:
        with self._storage._translated(self._what):
            return self._file.read(size)

    def close(self) -> None:
        self._file.close()


def path_of(key: str) -> Path:
    """Where the object lies in its bucket. InvalidInput for a part that no file's name can be."""
    *folders, name = key.split("/")
    return Path(*(_encoded(part) + _FOLDER for part in folders), _encoded(name) or _EMPTY)


def _encoded(part: str) -> str:
    name = _SPECIAL.sub(lambda found: f"%{ord(found[0]):02X}", part)
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidInput(f"The key part {part!r} is no valid text.") from None
    if length > MAX_NAME_BYTES:
        raise InvalidInput(f"The key part {part[:40]!r}… is too long for a file's name.")
    return name


def _decoded(name: str) -> str:
    return "" if name == _EMPTY else unquote(name)


def _keys(folder: Path, above: str, prefix: str) -> Iterator[str]:
    """All keys with `prefix` in `folder`, whose own keys begin with `above`."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                below = above + _decoded(entry.name.removesuffix(_FOLDER)) + "/"
                if below.startswith(prefix) or prefix.startswith(below):
                    yield from _keys(Path(entry.path), below, prefix)
            elif (key := above + _decoded(entry.name)).startswith(prefix):
                yield key


def _write(scratch: Path, head: Mapping[str, Any], body: BinaryIO, size: int) -> None:
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(json.dumps(head).encode() + b"\n")
        left = size
        while left:
            piece = body.read(min(_PIECE, left))
            if not piece:
                raise InvalidInput(f"The body ended {left} bytes early; nothing was stored.")
            left -= file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def _move(scratch: Path, path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch.replace(path)
    sync_directory(path.parent)


def _prune(folder: Path, root: Path) -> None:
    """Remove `folder` and those above it, up to `root`, as far as they are empty."""
    with suppress(OSError):
        while folder != root:
            folder.rmdir()
            folder = folder.parent


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One change of a bucket at a time, whichever process or thread makes it."""
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _info(key: str, file: BinaryIO) -> ObjectInfo:
    line = file.readline(_MAX_HEAD)
    try:
        head = json.loads(line)
        etag, metadata = str(head["etag"]), dict(head["metadata"])
    except (ValueError, TypeError, KeyError):
        raise Unavailable(f"{file.name} was not written by the0 or is damaged.") from None
    about = os.fstat(file.fileno())
    modified = datetime.fromtimestamp(about.st_mtime, UTC)
    return ObjectInfo(key, about.st_size - len(line), etag, modified, metadata)


def _remove_old_scratch(folder: Path) -> None:
    """What puts that were cut off have left."""
    for path in folder.glob(f".*{_SCRATCH}"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _SCRATCH_SEC:
                path.unlink()


@hookimpl
def the0_register_storage() -> type[LocalStorage]:
    """The storage named `local`."""
    return LocalStorage
