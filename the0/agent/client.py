"""HTTP/1.1 to the gateway over its Unix socket, on bare sockets.

One request a connection. Nothing here waits longer than the caller's deadline, whatever the
other side does: each wait is bounded by the smaller of a cap and the time that is left.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple

CHUNK = 256 * 1024
IDLE_SEC = 30.0
_MAX_HEAD = 64 * 1024
_MAX_ERROR = 64 * 1024


class Unavailable(Exception):
    """The answer is unknown: no connection, a time-out, a torn body, or the gateway's own 5xx, 401
    and 429. The same request may succeed later, after `retry_after` seconds where that is known."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Refused(Exception):
    """A certain no: `status` and the snake_case `code` of the gateway."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Credentials(NamedTuple):
    """What a container holds of ours: its launch and the token that proves it."""

    launch: str
    token: str


class Body(NamedTuple):
    """What a request sends: `length` bytes from where `file` stands."""

    file: BinaryIO
    length: int


class Answer(NamedTuple):
    """A 2xx answer: header names are in lower case; `content` is empty where it went to a sink."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise Unavailable(f"the gateway's answer is no JSON: {error}") from error


class Gateway:
    """The gateway as one launch sees it. Every method raises :class:`Unavailable` and
    :class:`Refused`; `deadline` is a reading of :func:`time.monotonic`."""

    def __init__(self, path: str, credentials: Credentials, deadline: float | None = None) -> None:
        self._path = path
        self._credentials = credentials
        self._deadline = deadline

    def until(self, deadline: float) -> Gateway:
        """The same gateway, every request of which ends by `deadline`."""
        return Gateway(self._path, self._credentials, deadline)

    def get(self, path: str, sink: Callable[[bytes], object] | None = None) -> Answer:
        """GET; a 2xx body goes to `sink` piece by piece, else into the answer."""
        return self.request("GET", path, sink=sink)

    def begin(self, path: str) -> int:
        """Ask GET without waiting for the answer: the descriptor that is readable once there is
        one (to be closed)."""
        wire = _Wire(self._deadline)
        try:
            wire.connect(self._path)
            self._send(wire, "GET", path, b"", {})
        except OSError as error:
            wire.close()
            raise Unavailable(f"GET {path} at the gateway: {error}") from error
        return wire.detach()

    def post(self, path: str, content: object) -> Answer:
        """POST of `content` as JSON."""
        return self.request("POST", path, json.dumps(content, separators=(",", ":")).encode())

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Body = b"",
        headers: Mapping[str, str] | None = None,
        sink: Callable[[bytes], object] | None = None,
        *,
        silent_sec: float = IDLE_SEC,
    ) -> Answer:
        """One request and its answer, before which the gateway may be silent for `silent_sec`."""
        wire = _Wire(self._deadline)
        try:
            wire.connect(self._path)
            # The gateway may refuse before it has read everything; its answer says why.
            with suppress(BrokenPipeError, ConnectionResetError):
                self._send(wire, method, path, body, headers or {})
            wire.idle_sec = silent_sec
            return _receive(wire, method, sink)
        except (OSError, ValueError) as error:
            reason = "it did not answer in time" if isinstance(error, TimeoutError) else str(error)
            raise Unavailable(f"{method} {path} at the gateway: {reason}") from error
        finally:
            wire.close()

    def _send(
        self, wire: _Wire, method: str, path: str, body: bytes | Body, headers: Mapping[str, str]
    ) -> None:
        length = body.length if isinstance(body, Body) else len(body)
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: gateway",
            "Connection: close",
            f"Authorization: Bearer {self._credentials.launch}.{self._credentials.token}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        if method in ("POST", "PUT"):
            lines += [f"Content-Length: {length}", "Content-Type: application/octet-stream"]
        wire.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
        for piece in _pieces(body):
            wire.send(piece)


def _pieces(body: bytes | Body) -> Iterator[bytes]:
    if isinstance(body, bytes):
        if body:
            yield body
        return
    left = body.length
    while left:
        piece = body.file.read(min(left, CHUNK))
        if not piece:
            raise ValueError("the file ended before its length")
        left -= len(piece)
        yield piece


class _Wire:
    """A connection with a read buffer, whose every wait is bounded."""

    def __init__(self, deadline: float | None) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._deadline = deadline
        self._buffer = b""
        self.idle_sec = IDLE_SEC

    def _bound(self) -> None:
        left = self.idle_sec if self._deadline is None else self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(min(self.idle_sec, left))

    def connect(self, path: str) -> None:
        self._bound()
        self._socket.connect(path)

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._bound()
            view = view[self._socket.send(view) :]

    def receive(self, limit: int = CHUNK) -> bytes:
        """At least one and at most `limit` bytes; empty at the end of the stream."""
        if self._buffer:
            piece, self._buffer = self._buffer[:limit], self._buffer[limit:]
            return piece
        self._bound()
        return self._socket.recv(limit)

    def receive_until(self, mark: bytes) -> bytes:
        """The bytes before the next `mark`, which is consumed."""
        data = self._buffer
        while mark not in data:
            if len(data) > _MAX_HEAD:
                raise ValueError("the answer's head is too long")
            self._bound()
            piece = self._socket.recv(CHUNK)
            if not piece:
                raise ValueError("the connection ended before the answer did")
            data += piece
        head, _, self._buffer = data.partition(mark)
        return head

    def detach(self) -> int:
        """The descriptor, which is the caller's from now on."""
        return self._socket.detach()

    def close(self) -> None:
        self._socket.close()


def _receive(wire: _Wire, method: str, sink: Callable[[bytes], object] | None) -> Answer:
    status, headers = 100, dict[str, str]()
    while 100 <= status < 200:
        status, headers = _parse_head(wire.receive_until(b"\r\n\r\n"))
    empty = method == "HEAD" or status == 204
    pieces = iter(()) if empty else _body(wire, headers)
    if status >= 300:
        raise _problem(status, headers, pieces)
    if sink is None:
        return Answer(status, headers, b"".join(pieces))
    for piece in pieces:
        sink(piece)
    return Answer(status, headers, b"")


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError("the answer is no HTTP/1.1")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(rest[:3]), headers


def _body(wire: _Wire, headers: Mapping[str, str]) -> Iterator[bytes]:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _chunked(wire)
    return _counted(wire, int(headers.get("content-length", "0")))


def _counted(wire: _Wire, length: int) -> Iterator[bytes]:
    while length > 0:
        piece = wire.receive(min(length, CHUNK))
        if not piece:
            raise ValueError(f"the answer is torn: {length} bytes are missing")
        length -= len(piece)
        yield piece


def _chunked(wire: _Wire) -> Iterator[bytes]:
    while size := int(wire.receive_until(b"\r\n").partition(b";")[0], 16):
        yield from _counted(wire, size)
        if wire.receive_until(b"\r\n"):
            raise ValueError("the answer's chunks are malformed")
    while wire.receive_until(b"\r\n"):
        pass


def _problem(
    status: int, headers: Mapping[str, str], pieces: Iterator[bytes]
) -> Unavailable | Refused:
    content = b""
    for piece in pieces:
        content += piece
        if len(content) > _MAX_ERROR:
            break
    # An answer to HEAD has no body; what it would say stands in this header.
    code, message = _explain(content or headers.get("x-the0-error", "").encode())
    text = message or f"the gateway answered {status}"
    if status >= 500 or status in (401, 429):
        return Unavailable(text, _seconds(headers.get("retry-after")))
    return Refused(status, code, text)


def _explain(content: bytes) -> tuple[str, str]:
    try:
        error = json.loads(content)["error"]
        return str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        return "", ""


def _seconds(text: str | None) -> float | None:
    try:
        return min(300.0, max(0.0, float(text))) if text else None
    except ValueError:
        return None


def drain_to(fd: int) -> Callable[[bytes], object]:
    """A sink that writes to the file descriptor `fd`."""

    def sink(piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            view = view[os.write(fd, view) :]

    return sink
