"""Archives of one bucket on this host's disk, so that they are not fetched again and again.

They lie in `blobs/<SHA-256>`; `index/<SHA-256 of the key>.json` says which of them an object key
meant, and at which ETag. A blob is complete and checked before it gets its name.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from the0.errors import InvalidArchive, NotFound, Unavailable
from the0.files import write_atomic
from the0.plugin.interfaces import ObjectInfo, ObjectReader, Storage
from the0.pool import BlockingPool

log = logging.getLogger("the0.storage.cache")

_PIECE = 1 << 20


@dataclass(frozen=True)
class CachedArchive:
    """An archive on disk as the store had it."""

    key: str
    etag: str
    sha256: str
    size: int
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CacheRules:
    """How errors call an archive, the setting that bounds its size, and whether a key means the
    same content for ever: then what is cached is as good while the store is away."""

    what: str
    setting: str
    fixed: bool


class ArchiveCache:
    """A bounded cache of a bucket in `directory`.

    `max_bytes` bounds all archives together, `max_archive_bytes` one.
    """

    def __init__(
        self,
        storage: Storage,
        bucket: str,
        directory: Path,
        rules: CacheRules,
        *,
        max_bytes: int,
        max_archive_bytes: int,
    ) -> None:
        self._storage = storage
        self._bucket = bucket
        self._rules = rules
        self._blobs = directory / "blobs"
        self._index = directory / "index"
        self._max_bytes = max_bytes
        self._max_archive_bytes = max_archive_bytes
        self._evicting = threading.Lock()
        self._fetches: dict[str, asyncio.Task[CachedArchive]] = {}

    async def open(self, key: str, pool: BlockingPool) -> tuple[CachedArchive, BinaryIO]:
        """The archive, opened (to be closed), as the store has it now.

        Raises NotFound (certain), InvalidArchive for one that is too large, Unavailable.
        """
        for _ in range(2):
            if self._rules.fixed:
                found = await self._fetch_once(key, pool)
            else:
                # A fetch that began before the question may have seen what is replaced by now.
                found = await pool.call(self._fetch, key)
            try:
                # Not in the pool: a caller that is cancelled there would leave the file open.
                return found, self._opened(found)
            except FileNotFoundError:
                log.debug("%s was evicted between fetch and open", key)
        raise Unavailable(f"the cache is too small to keep the {self._rules.what} {key!r}")

    def _opened(self, found: CachedArchive) -> BinaryIO:
        return (self._blobs / found.sha256).open("rb")

    async def _fetch_once(self, key: str, pool: BlockingPool) -> CachedArchive:
        """Any number of callers at a time cause one fetch; one that goes away ends it for none."""
        task = self._fetches.get(key)
        if task is None:
            task = asyncio.create_task(pool.call(self._fetch, key), name=f"fetch {key}")
            self._fetches[key] = task
            task.add_done_callback(lambda _: self._fetches.pop(key, None))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for fetches that nobody waits for any more."""
        await asyncio.gather(*self._fetches.values(), return_exceptions=True)

    def _fetch(self, key: str) -> CachedArchive:
        cached = self._cached(key)
        try:
            info = self._storage.head(self._bucket, key)
            if cached and self._is_current(cached, info):
                return self._used(replace(cached, metadata=dict(info.metadata)))
            return self._download(key)
        except NotFound as error:
            raise NotFound(
                f"there is no {self._rules.what} {key!r} in bucket {self._bucket!r}"
            ) from error
        except Unavailable:
            if cached is None or not self._rules.fixed:
                raise
            log.warning("the store does not answer; %s comes from the cache", key)
            return self._used(cached)

    def _is_current(self, cached: CachedArchive, info: ObjectInfo) -> bool:
        # A store that lost track of an object gives an empty ETag for any content.
        known = self._rules.fixed or info.etag != ""
        return known and (cached.etag, cached.size) == (info.etag, info.size)

    def _download(self, key: str) -> CachedArchive:
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._index.mkdir(parents=True, exist_ok=True)
        with self._storage.open(self._bucket, key) as found:
            self._check_size(found.info)
            code = self._keep(found, key)
        write_atomic(self._index_path(key), json.dumps(asdict(code)).encode())
        self._evict(keep=code.sha256)
        return code

    def _keep(self, found: ObjectReader, key: str) -> CachedArchive:
        handle, name = tempfile.mkstemp(dir=self._blobs, prefix=".")
        scratch = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                code = _copy(found, file, key)
            scratch.rename(self._blobs / code.sha256)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
        return code

    def _check_size(self, info: ObjectInfo) -> None:
        if info.size > self._max_archive_bytes:
            raise InvalidArchive(
                f"the {self._rules.what} {info.key!r} has {info.size} bytes; at most "
                f"{self._max_archive_bytes} are allowed (setting {self._rules.setting})"
            )

    def _cached(self, key: str) -> CachedArchive | None:
        try:
            code = CachedArchive(**json.loads(self._index_path(key).read_bytes()))
            complete = (self._blobs / code.sha256).stat().st_size == code.size
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return code if complete and code.key == key else None

    def _used(self, code: CachedArchive) -> CachedArchive:
        try:
            os.utime(self._blobs / code.sha256)
        except FileNotFoundError:
            return self._download(code.key)
        return code

    def _evict(self, keep: str) -> None:
        """Remove what was used longest ago until the rest fits."""
        with self._evicting:
            blobs = [(path, path.stat()) for path in self._blobs.iterdir() if path.name[0] != "."]
            excess = sum(stat.st_size for _, stat in blobs) - self._max_bytes
            if excess <= 0:
                return
            for path, stat in sorted(blobs, key=lambda one: one[1].st_mtime_ns):
                if excess > 0 and path.name != keep:
                    path.unlink()
                    excess -= stat.st_size
            for entry in self._index.glob("*.json"):
                if not (self._blobs / json.loads(entry.read_bytes())["sha256"]).exists():
                    entry.unlink()

    def clear_scratch(self) -> None:
        """Remove half-done downloads of a process that died; called before the first fetch."""
        for path in self._blobs.glob(".*"):
            path.unlink(missing_ok=True)

    def _index_path(self, key: str) -> Path:
        return self._index / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def _copy(found: ObjectReader, file: BinaryIO, key: str) -> CachedArchive:
    digest, size = hashlib.sha256(), 0
    while piece := found.read(_PIECE):
        digest.update(piece)
        file.write(piece)
        size += len(piece)
    if size != found.info.size:
        raise Unavailable(f"the archive {key!r} came as {size} of {found.info.size} bytes")
    file.flush()
    os.fsync(file.fileno())
    return CachedArchive(key, found.info.etag, digest.hexdigest(), size, dict(found.info.metadata))
