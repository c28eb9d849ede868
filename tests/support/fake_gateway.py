"""A gateway for tests of the agent: keeps the rules of docs/gateway.md in memory, and breaks them
when told to, which the real one cannot be made to do."""

from __future__ import annotations

import base64
import hashlib
import json
import socketserver
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

LAUNCH = "0123456789abcdef0123456789abcdef"
TOKEN = "a-token-of-the-tests"


@dataclass
class StoredState:
    body: bytes
    generation: str
    tree: str


@dataclass
class FakeGateway:
    """What containers see of the host. `faults` maps `"METHOD /path"` to a status, `hang`,
    `torn`, `close` or `lost answer`; it may be changed at any time. Without a document the launch
    waits for its job."""

    path: Path
    document: dict[str, Any] | None
    code: bytes = b""
    state: StoredState | None = None
    faults: dict[str, str] = field(default_factory=dict)
    records: list[tuple[str, int, int, str, bytes, bool]] = field(default_factory=list)
    acked: dict[str, int] = field(default_factory=dict)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    results: list[bytes] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    uploads: int = 0
    _server: socketserver.ThreadingUnixStreamServer | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        gateway = self

        class Handler(_Handler):
            fake = gateway

        self.path.unlink(missing_ok=True)
        self._stopping.clear()
        self._server = socketserver.ThreadingUnixStreamServer(str(self.path), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.path.chmod(0o777)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        self.path.unlink(missing_ok=True)

    def lines(self, *streams: str) -> list[str]:
        """The text of all records of these streams (of all but the agent's, without any)."""
        wanted = streams or ("stdout", "stderr")
        with self._lock:
            return [
                raw.decode(errors="replace")
                for *_, stream, raw, _ in self.records
                if stream in wanted
            ]

    def conditions(self) -> dict[str, dict[str, Any]]:
        """The conditions that hold by the last report."""
        with self._lock:
            given = self.statuses[-1]["conditions"] if self.statuses else []
        return {one["type"]: one for one in given if one["status"]}

    def phase(self) -> str | None:
        with self._lock:
            return self.statuses[-1]["phase"] if self.statuses else None

    def exit(self) -> dict[str, Any]:
        """How the launch ended, as reported."""
        assert self.phase() == "ended"
        return dict(self.statuses[-1]["exit"])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeGateway

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return "container"

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()

    def handle_any(self) -> None:
        path, _, query = self.path.partition("?")
        request = f"{self.command} {path}"
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.close_connection = True
        with self.fake._lock:
            self.fake.requests.append(request)
        fault = self.fake.faults.get(request) or self.fake.faults.get("*")
        if fault == "hang":
            while self.fake.faults.get(request) == fault and not self.fake._stopping.is_set():
                time.sleep(0.02)
            return None
        if fault == "close":
            return None
        if fault in ("401", "404", "409", "413", "429", "503"):
            return self.error(int(fault), "unavailable", f"the test says {fault}")
        if self.headers.get("Authorization") != f"Bearer {LAUNCH}.{TOKEN}":
            return self.error(401, "unknown_launch", "wrong token")
        while query and self.fake.document is None and not self.fake._stopping.is_set():
            time.sleep(0.02)
        getattr(self, f"{self.command}_{path.rpartition('/')[2]}")(body)
        return None

    do_GET = do_HEAD = do_PUT = do_POST = handle_any

    def answer(self, content: bytes, status: int = 200, **headers: str) -> None:
        torn = self.fake.faults.get(f"{self.command} {self.path}") == "torn"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if torn else content)

    def error(self, status: int, code: str, message: str) -> None:
        error = {"error": {"code": code, "message": message}}
        self.answer(json.dumps(error).encode(), status)

    def GET_launch(self, _: bytes) -> None:
        if self.fake.document is None:
            self.answer(b"", 204)
        else:
            self.answer(json.dumps(self.fake.document).encode())

    def GET_code(self, _: bytes) -> None:
        code = self.fake.code
        self.answer(code, X_The0_Sha256=hashlib.sha256(code).hexdigest())

    def GET_state(self, _: bytes) -> None:
        state = self.fake.state
        if state is None:
            return self.answer(b"", 204)
        return self.answer(state.body, X_The0_Generation=state.generation, X_The0_Tree=state.tree)

    HEAD_state = GET_state

    def PUT_state(self, body: bytes) -> None:
        given = {name.lower(): value for name, value in self.headers.items()}
        if hashlib.sha256(body).hexdigest() != given["x-the0-sha256"]:
            return self.error(422, "checksum", "the body is not what its hash says")
        generation, base = given["x-the0-generation"], given["x-the0-base"]
        with self.fake._lock:
            stored = self.fake.state.generation if self.fake.state else ""
            if stored not in ("", base, generation):
                return self.error(409, "conflict", f"stored is {stored}")
            if stored != generation:
                self.fake.state = StoredState(body, generation, given["x-the0-tree"])
                self.fake.uploads += 1
        if self.fake.faults.get("PUT /v1/state") == "lost answer":
            return None
        return self.answer(json.dumps({"generation": generation}).encode())

    def POST_logs(self, body: bytes) -> None:
        given = json.loads(body)
        assert len(body) <= 1 << 20
        with self.fake._lock:
            acked = self.fake.acked.get(given["epoch"], 0)
            for number, moment, stream, raw, partial in given["records"]:
                if number > acked:
                    record = (given["epoch"], number, moment, stream, base64.b64decode(raw))
                    self.fake.records.append((*record, partial))
                    acked = number
            self.fake.acked[given["epoch"]] = acked
        if self.fake.faults.get("POST /v1/logs") == "lost answer":
            return
        self.answer(json.dumps({"acked": acked}).encode())

    def POST_status(self, body: bytes) -> None:
        with self.fake._lock:
            self.fake.statuses.append(json.loads(body))
        self.answer(b"{}")

    def PUT_result(self, body: bytes) -> None:
        with self.fake._lock:
            self.fake.results.append(body)
        self.answer(b"{}")
