"""The HTTP server of a query process: requests are read in threads, a bounded number at once, and
answered one at a time in the thread that serves.

That is the main thread, as in the public SDK, and handlers count on it: with a sqlite3 connection
or an event loop of their module, or a signal handler.
"""

from __future__ import annotations

import json
import select
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from socket import socket
from socketserver import TCPServer
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from the0.sdk.output import log

MAX_REQUESTS = 16
MAX_BODY_BYTES = 1024 * 1024
IDLE_SEC = 30.0


class Reply(Protocol):
    @property
    def status(self) -> int: ...

    @property
    def body(self) -> str: ...


AnswerFunction = Callable[[str, dict[str, Any]], Reply]


class Question(NamedTuple):
    """What a request asks; its thread waits for what comes into `reply`: None when whoever asked
    over `connection` has gone meanwhile."""

    path: str
    params: dict[str, Any]
    connection: socket
    reply: SimpleQueue[Reply | None]


def serve(port: int, answer: AnswerFunction) -> None:
    """Answer GET and POST on `port` until the process ends. Raises OSError for a taken port."""
    with QueryServer(port) as server:
        log(f"Query server started on port {server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.answer_here(answer)


class QueryServer(ThreadingHTTPServer):
    """At most MAX_REQUESTS threads; further connections wait in the kernel's queue."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int) -> None:
        self.questions: SimpleQueue[Question | None] = SimpleQueue()
        self._slots = threading.BoundedSemaphore(MAX_REQUESTS)
        super().__init__(("0.0.0.0", port), _Request)  # noqa: S104 - the container's own address

    def answer_here(self, answer: AnswerFunction) -> None:
        """Answer in this thread what is asked, until None comes out of `questions`."""
        while question := self.questions.get():
            gone = _is_gone(question.connection)
            question.reply.put(None if gone else answer(question.path, question.params))

    def server_bind(self) -> None:
        # The base class asks DNS for the host's name, which may take long where there is no DNS.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "", int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        self._slots.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._slots.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away or never spoke is no news; handlers' errors are answers."""


class _Request(BaseHTTPRequestHandler):
    server: QueryServer
    timeout = IDLE_SEC

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: the log belongs to the bot."""

    def _respond(self) -> None:
        url = urlsplit(self.path)
        length = _length(self.headers.get("Content-Length"))
        if length > MAX_BODY_BYTES:
            text = {"status": "error", "error": f"the body is over {MAX_BODY_BYTES} bytes"}
            self._send(413, json.dumps(text))
            return
        params: dict[str, Any] = {name: values[0] for name, values in parse_qs(url.query).items()}
        params.update(_parameters(self.rfile.read(length)))
        question = Question(unquote(url.path), params, self.connection, SimpleQueue())
        self.server.questions.put(question)
        if reply := question.reply.get():
            self._send(reply.status, reply.body)

    def _send(self, status: int, body: str) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _is_gone(connection: socket) -> bool:
    """Whether the other end hung up, as it does when its time is over."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))


def _length(header: str | None) -> int:
    try:
        return max(0, int(header or 0))
    except ValueError:
        return 0


def _parameters(body: bytes) -> dict[str, Any]:
    """Parameters of a JSON object; anything else has none."""
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
