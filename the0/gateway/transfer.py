"""Bodies to and from containers, in constant memory and never on the event loop."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from sanic import Request

from the0.errors import InvalidInput, The0Error, Unavailable
from the0.gateway.errors import ChecksumMismatch
from the0.http import read_body
from the0.pool import BlockingPool

PIECE = 256 * 1024
IN_MEMORY = 1 << 20
_MIN_BYTES_PER_SEC = 1 << 20
_BASE_SEC = 30.0
_CANCELLED_SEC = 5.0


class Source(Protocol):
    """What is sent: an open file, or an object of the store."""

    def read(self, size: int = -1, /) -> bytes: ...
    def close(self) -> None: ...


def seconds_for(size: int) -> float:
    """How long a transfer of `size` bytes may take at most."""
    return _BASE_SEC + size / _MIN_BYTES_PER_SEC


async def read_small(request: Request, max_bytes: int) -> bytes:
    """A body that fits in memory."""
    pieces = [piece async for piece in read_body(request, max_bytes, _BASE_SEC)]
    return b"".join(pieces)


async def receive(
    request: Request, directory: Path, max_bytes: int, sha256: str, disk: BlockingPool
) -> tuple[IO[bytes], int]:
    """The whole body in a file (to be closed) that vanishes by itself, and its size.

    Raises ChecksumMismatch for a body with another digest or length than announced.
    """
    size = _content_length(request)
    # The caller closes it, or the lines below do when anything fails.
    file: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=str(directory))  # noqa: SIM115
    try:
        digest = hashlib.sha256()
        waiting = bytearray()
        async for piece in read_body(request, max_bytes, seconds_for(size)):
            waiting += piece
            if len(waiting) >= PIECE:
                await disk.call(_keep, file, digest, bytes(waiting))
                waiting.clear()
        await disk.call(_keep, file, digest, bytes(waiting))
        _check(file.tell(), digest.hexdigest(), size, sha256)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file, size


@dataclass(frozen=True)
class Content:
    """An answer's body: `size` bytes of `source`, which is closed once they are sent or not."""

    source: Source
    size: int
    content_type: str
    headers: Mapping[str, str]


async def send(request: Request, content: Content, pool: BlockingPool) -> None:
    """Answer with the content, read in `pool`. What breaks off ends in a reset, never in an
    answer that looks whole."""
    reading: Future[bytes] | None = None
    try:
        response = await request.respond(
            headers={**content.headers, "Content-Length": str(content.size)},
            content_type=content.content_type,
        )
        left = content.size
        while left:
            reading = pool.submit(content.source.read, min(PIECE, left))
            piece = await pool.wait(reading, pool.timeout_sec)
            if not piece:
                break
            left -= len(piece)
            await response.send(piece)
        if left:
            await _abort(request)
        else:
            await response.eof()
    except The0Error:
        await _abort(request)
    finally:
        _close(content.source, reading)


def _close(source: Source, reading: Future[bytes] | None) -> None:
    """Close the source, after the thread that still reads it where a client went away."""
    if reading is None or reading.done():
        source.close()
    else:
        reading.add_done_callback(lambda _: source.close())


async def _abort(request: Request) -> None:
    transport: Any = request.transport
    if transport is not None:
        transport.abort()
    # The lost connection cancels this handler; one that returned before that would be reported
    # as a bug, with a traceback for every download that broke off.
    await asyncio.sleep(_CANCELLED_SEC)


def _content_length(request: Request) -> int:
    announced = request.headers.get("content-length", "")
    if not (announced.isascii() and announced.isdigit()):
        raise InvalidInput("Content-Length is needed")
    return int(announced)


def _check(size: int, sha256: str, announced_size: int, announced_sha256: str) -> None:
    if (size, sha256) != (announced_size, announced_sha256):
        raise ChecksumMismatch(
            f"the body has {size} bytes with SHA-256 {sha256}; "
            f"announced were {announced_size} bytes with {announced_sha256}"
        )


def _keep(file: IO[bytes], digest: hashlib._Hash, data: bytes) -> None:
    digest.update(data)
    try:
        file.write(data)
    except OSError as error:
        raise Unavailable(f"no room for the body on the host: {error.strerror}") from error
