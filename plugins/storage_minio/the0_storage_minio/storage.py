"""The storage plugin `minio`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import BinaryIO, ClassVar

from minio.datatypes import Object
from minio.error import S3Error
from urllib3.response import BaseHTTPResponse

from the0.errors import InvalidInput, NotFound, Unavailable
from the0.plugin.interfaces import ObjectInfo, ObjectReader, PluginArgs, Storage
from the0_storage_minio.connection import connect
from the0_storage_minio.errors import UnsureNotFound, credentials_error, translated
from the0_storage_minio.settings import MinioSettings

PART_BYTES = 8 << 20
"""Larger objects are stored in parts of this size, so no put needs more memory than this twice."""

_META = "x-amz-meta-"
_EXISTS = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")


class MinioStorage(Storage):
    """Buckets and objects of any server that speaks S3."""

    name: ClassVar[str] = "minio"
    settings: ClassVar[type | None] = MinioSettings

    def __init__(self, args: PluginArgs) -> None:
        super().__init__(args)
        settings = args.section(MinioSettings)
        self._endpoint = settings.endpoint
        self._client, self._connections = connect(settings)

    def close(self) -> None:
        self._connections.clear()

    def ping(self) -> None:
        try:
            with translated(self._endpoint, "listing buckets", ""):
                self._client.list_buckets()
        except Unavailable as error:
            if wrong := credentials_error(error.__cause__, self._endpoint):
                raise wrong from error
            if not _may_not_list(error.__cause__):
                raise

    def ensure_bucket(self, bucket: str) -> None:
        with translated(self._endpoint, f"creating bucket {bucket!r}", bucket):
            if self._client.bucket_exists(bucket):
                return
            try:
                self._client.make_bucket(bucket)
            except S3Error as error:
                if error.code not in _EXISTS:
                    raise

    def head(self, bucket: str, key: str) -> ObjectInfo:
        try:
            with translated(self._endpoint, f"looking up {bucket}/{key}", bucket, key):
                return _info_of_object(self._client.stat_object(bucket, key))
        except UnsureNotFound:
            # An answer to HEAD has no body to tell what is missing; one to GET has.
            with self.open(bucket, key) as found:
                return found.info

    def open(self, bucket: str, key: str) -> ObjectReader:
        with translated(self._endpoint, f"reading {bucket}/{key}", bucket, key):
            response = self._client.get_object(bucket, key)
            return _Reader(self._endpoint, bucket, key, response)

    def put(
        self,
        bucket: str,
        key: str,
        body: BinaryIO,
        size: int,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        exact = _ExactBody(body, size)
        with translated(self._endpoint, f"storing {bucket}/{key}", bucket, key):
            result = self._client.put_object(
                bucket,
                key,
                exact,  # type: ignore[arg-type] # only read() is called
                size,
                content_type=content_type,
                metadata={_META + name: value for name, value in (metadata or {}).items()},
                part_size=PART_BYTES,
                num_parallel_uploads=1,
            )
        return ObjectInfo(
            key=key,
            size=size,
            etag=(result.etag or "").strip('"'),
            modified=result.last_modified or datetime.now(UTC),
            metadata=dict(metadata or {}),
        )

    def delete(self, bucket: str, key: str) -> None:
        try:
            with translated(self._endpoint, f"deleting {bucket}/{key}", bucket, key):
                self._client.remove_object(bucket, key)
        except NotFound:
            return

    def list(self, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        with translated(self._endpoint, f"listing {bucket}/{prefix}", bucket):
            for found in self._client.list_objects(bucket, prefix=prefix, recursive=True):
                yield _info_of_object(found)


class _ExactBody:
    """A body that is an error when it ends early, so that nothing short is ever sent as whole."""

    def __init__(self, body: BinaryIO, size: int) -> None:
        self._body = body
        self._size = size
        self._read = 0

    def read(self, size: int) -> bytes:
        data = self._body.read(size)
        self._read += len(data)
        if not data and self._read < self._size:
            raise InvalidInput(
                f"the body ended after {self._read} of {self._size} bytes; nothing was stored"
            )
        return data


class _Reader(ObjectReader):
    def __init__(self, endpoint: str, bucket: str, key: str, response: BaseHTTPResponse) -> None:
        self._place = (endpoint, f"reading {bucket}/{key}", bucket)
        self._response = response
        self.info = _info(key, response.headers)

    def read(self, size: int = -1) -> bytes:
        with translated(*self._place):
            data: bytes = self._response.read(None if size < 0 else size, decode_content=False)
            return data

    def close(self) -> None:
        # Not drained: the rest may be large, so an unfinished connection is given up.
        self._response.close()
        self._response.release_conn()


def _info(key: str, headers: Mapping[str, str]) -> ObjectInfo:
    modified = datetime.strptime(headers["last-modified"], "%a, %d %b %Y %H:%M:%S GMT")
    return ObjectInfo(
        key=key,
        size=int(headers["content-length"]),
        etag=headers.get("etag", "").strip('"'),
        modified=modified.replace(tzinfo=UTC),
        metadata={
            name.lower().removeprefix(_META): value
            for name, value in headers.items()
            if name.lower().startswith(_META)
        },
    )


def _info_of_object(found: Object) -> ObjectInfo:
    metadata = {
        name.lower().removeprefix(_META): value
        for name, value in (found.metadata or {}).items()
        if name.lower().startswith(_META)
    }
    return ObjectInfo(
        key=found.object_name or "",
        size=found.size or 0,
        etag=(found.etag or "").strip('"'),
        modified=found.last_modified or datetime.now(UTC),
        metadata=metadata,
    )


def _may_not_list(error: BaseException | None) -> bool:
    # Servers check the signature before the rights: keys of few rights get here, wrong ones do not.
    return isinstance(error, S3Error) and error.code == "AccessDenied"
