from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.agent import client
from the0.agent.client import Body, Credentials, Gateway, Refused, Unavailable

CREDENTIALS = Credentials("launch", "token")


@contextmanager
def answering(path: Path, answer: bytes, after_sec: float = 0.0) -> Iterator[Gateway]:
    """A server that gives `answer` to one request, whatever it is."""
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            time.sleep(after_sec)
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield Gateway(str(path), CREDENTIALS, time.monotonic() + 20)
    finally:
        thread.join()
        server.close()
        path.unlink()


def test_a_counted_body(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\nX-The0-Tree: abc\r\nContent-Length: 5\r\n\r\nhello"
    with answering(tmp_path / "s", answer) as gateway:
        got = gateway.get("/v1/code")
    assert (got.status, got.headers["x-the0-tree"], got.content) == (200, "abc", b"hello")


def test_a_body_in_chunks_goes_to_a_sink(tmp_path: Path) -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: t\r\n\r\n"
    )
    pieces: list[bytes] = []
    with answering(tmp_path / "s", answer) as gateway:
        gateway.get("/v1/code", pieces.append)
    assert b"".join(pieces) == b"hello world"


def test_a_preliminary_answer_is_passed_over(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
    with answering(tmp_path / "s", answer) as gateway:
        assert gateway.get("/v1/state").status == 204


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
        b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_anything_uncertain_is_unavailable(tmp_path: Path, answer: bytes) -> None:
    with answering(tmp_path / "s", answer) as gateway, pytest.raises(Unavailable):
        gateway.get("/v1/state")


@given(st.binary(max_size=200))
def test_no_answer_breaks_anything(answer: bytes) -> None:
    path = Path(os.environ["TMPDIR"]) / "fuzz"
    with answering(path, answer) as gateway, pytest.raises((Unavailable, Refused)):
        gateway.get("/v1/state")


def test_a_certain_no_has_the_gateways_words(tmp_path: Path) -> None:
    error = b'{"error": {"code": "conflict", "message": "stored is g2"}}'
    head = b"HTTP/1.1 409 Conflict\r\nContent-Length: %d\r\n\r\n" % len(error)
    with answering(tmp_path / "s", head + error) as gateway, pytest.raises(Refused) as caught:
        gateway.get("/v1/state")
    assert (caught.value.status, caught.value.code) == (409, "conflict")
    assert str(caught.value) == "stored is g2"


def test_the_words_of_an_answer_without_a_body_stand_in_its_header(tmp_path: Path) -> None:
    answer = (
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 70\r\n"
        b'X-The0-Error: {"error": {"code": "unavailable", "message": "the st\\u00f6re"}}\r\n\r\n'
    )
    with (
        answering(tmp_path / "s", answer) as gateway,
        pytest.raises(Unavailable, match="the störe"),
    ):
        gateway.request("HEAD", "/v1/state")


def test_retry_after_is_bounded(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 429 Slow\r\nRetry-After: 99999\r\nContent-Length: 0\r\n\r\n"
    with answering(tmp_path / "s", answer) as gateway, pytest.raises(Unavailable) as caught:
        gateway.get("/v1/state")
    assert caught.value.retry_after == 300


def test_an_answer_before_the_whole_body_was_sent_is_heard(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * (8 << 20))
    answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    with (
        large.open("rb") as file,
        answering(tmp_path / "s", answer) as gateway,
        pytest.raises((Refused, Unavailable)),
    ):
        gateway.request("PUT", "/v1/state", Body(file, 8 << 20))


def test_an_answer_may_take_longer_than_silence_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "IDLE_SEC", 0.05)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with answering(tmp_path / "s", answer, after_sec=0.3) as gateway:
        assert gateway.request("PUT", "/v1/state", b"x", silent_sec=20).status == 200


def test_no_gateway_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        Gateway(str(tmp_path / "nothing"), CREDENTIALS).get("/v1/launch")


@pytest.mark.parametrize("accepting", [True, False])
def test_a_hung_gateway_does_not_outlive_the_deadline(tmp_path: Path, accepting: bool) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        if accepting:
            server.listen()
        gateway = Gateway(str(tmp_path / "s"), CREDENTIALS, time.monotonic() + 0.2)
        with pytest.raises(Unavailable):
            gateway.post("/v1/status", {})
