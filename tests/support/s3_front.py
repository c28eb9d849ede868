"""A store that fails for some objects only: an HTTP server in front of a real S3 server.

Unlike :mod:`the0.testing.faults` it understands requests, so that one bot's state can be damaged
while everything else is served as ever.
"""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

from the0.testing.servers import LOOPBACK

Fault = Literal["500", "hang", "cut", "wrong bytes", "denied", "no bucket", "not S3", "empty"]

_ERRORS = {
    "500": (500, "InternalError"),
    "denied": (403, "AccessDenied"),
    "no bucket": (404, "NoSuchBucket"),
}
_HANG_SEC = 30.0
_HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "keep-alive", "content-length"})


@dataclass
class S3Front:
    """`faults` maps a path's beginning, like `/bot-state/b1/`, to what is wrong with it."""

    endpoint: str
    faults: dict[str, Fault] = field(default_factory=dict)
    healed: threading.Event = field(default_factory=threading.Event)

    def heal(self) -> None:
        """From now on all is well; what hangs breaks off."""
        self.faults.clear()
        self.healed.set()

    def fault(self, path: str) -> Fault | None:
        return next((fault for begin, fault in self.faults.items() if path.startswith(begin)), None)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    front: S3Front
    target: str

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.front.fault(self.path)
        if fault == "hang":
            self.front.healed.wait(_HANG_SEC)
            self.close_connection = True
        elif fault in _ERRORS:
            self._refuse(*_ERRORS[fault])
        elif fault == "not S3":
            self._answer(404, {"Content-Type": "text/html"}, b"<html>nothing here</html>")
        else:
            self._pass_on(body, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve

    def _pass_on(self, body: bytes, fault: Fault | None) -> None:
        connection = http.client.HTTPConnection(self.target, timeout=30)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            content = answer.read()
        headers = {k: v for k, v in answer.getheaders() if k.lower() not in _HOP_BY_HOP}
        length = int(answer.getheader("Content-Length") or len(content))
        if self.command == "GET" and answer.status == 200:
            content = _damaged(content, fault)
        self._answer(answer.status, headers, content, len(content) if fault == "empty" else length)

    def _refuse(self, status: int, code: str) -> None:
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"
        self._answer(status, {"Content-Type": "application/xml"}, text.encode())

    def _answer(
        self, status: int, headers: dict[str, str], content: bytes, length: int | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
            self.close_connection = length is not None and len(content) < length

    def log_message(self, *_: object) -> None:
        return


def _damaged(content: bytes, fault: Fault | None) -> bytes:
    if fault == "cut":
        return content[: len(content) // 2]
    if fault == "wrong bytes":
        middle = len(content) // 2
        return content[:middle] + bytes(b ^ 0xFF for b in content[middle:])
    return b"" if fault == "empty" else content


@contextlib.contextmanager
def s3_front(target: str) -> Iterator[S3Front]:
    """Serves on a free loopback port in front of the server at `target` (host:port)."""
    handler = type("Handler", (_Handler,), {"target": target})
    server = ThreadingHTTPServer((LOOPBACK, 0), handler)
    front = handler.front = S3Front(f"{LOOPBACK}:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield front
    finally:
        front.heal()
        server.shutdown()
        thread.join()
        server.server_close()
