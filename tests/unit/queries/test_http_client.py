"""The client of query servers, against servers that do whatever a bot may do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.queries import http_client
from the0.queries.http_client import Connections, NotListening, Peer, _Lost, _Reading
from the0.queries.models import Answer, QueryFailed

MAX_BODY = 1000
HEAD = b"HTTP/1.1 200 OK\r\n"
GOOD = HEAD + b"Content-Length: 2\r\n\r\n{}"
REQUEST = b"POST /x HTTP/1.1\r\nHost: b\r\nContent-Length: 0\r\n\r\n"

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """A query server of a test; `opened` counts its connections."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self.opened = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.peer = Peer("ref", "127.0.0.1", 0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        task = asyncio.current_task()
        assert task
        self.tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._handle(reader, writer)
        except asyncio.CancelledError:
            """The test is over."""
        finally:
            writer.close()


@asynccontextmanager
async def served(handle: Handle) -> AsyncIterator[Server]:
    server = Server(handle)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.peer = Peer("ref", *listening.sockets[0].getsockname())
    try:
        yield server
    finally:
        listening.close()
        for task in server.tasks:
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)
        await asyncio.sleep(0)


@pytest.fixture
async def connections() -> AsyncIterator[Connections]:
    found = Connections(MAX_BODY)
    yield found
    found.close()
    await asyncio.sleep(0)


async def request_read(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def saying(*pieces: bytes, pause: float = 0.0, keep: bool = False) -> Handle:
    """A server that answers each request with these pieces, and then closes unless `keep`."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await request_read(reader):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
            if not keep:
                return

    return handle


# --- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pieces", "status", "body"),
    [
        ((GOOD,), 200, b"{}"),
        ((b"HTTP/1.0 404 Nope\r\nContent-Type: x\r\n\r\n{", b"}"), 404, b"{}"),
        ((b"HTTP/1.1 302 Go\r\nLocation: mongodb://h\r\nContent-Length: 0\r\n\r\n",), 302, b""),
        (
            (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", b"1\r\n}\r\n0\r\n\r\n"),
            200,
            b"{}",
        ),
        (tuple(bytes([byte]) for byte in GOOD), 200, b"{}"),
        ((b"HTTP/1.1 204 None\r\n\r\n",), 204, b""),
    ],
    ids=["length", "until the end", "redirect", "chunked", "bytewise", "empty"],
)
async def test_an_answer_in_any_of_https_forms(
    connections: Connections, pieces: tuple[bytes, ...], status: int, body: bytes
) -> None:
    async with served(saying(*pieces)) as server:
        assert await connections.ask(server.peer, REQUEST) == Answer(status, body)


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"", "closed the connection without an answer"),
        (b"HTTP/1.1 20", "in the middle of its answer"),
        (HEAD + b"Content-Length: 20\r\n\r\n{}", "in the middle of its answer"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "in the middle of its answer"),
        (HEAD + b"Content-Length: 1001\r\n\r\n", "larger than 1,000 bytes"),
        (HEAD + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n", "does not speak HTTP"),
        (HEAD + b"Content-Length: -1\r\n\r\n{}", "does not speak HTTP"),
        (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "does not speak HTTP"),
        (
            HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "does not speak HTTP",
        ),
        (HEAD + b"\r\n" + b"1" * 1001, "larger than 1,000 bytes"),
        (
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n1\r\n" * 1001,
            "larger than 1,000 bytes",
        ),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", "does not speak HTTP"),
        (HEAD + b"X: " + b"y" * 70_000, "head of the query server's answer never ends"),
        (
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 80_000,
            "answer never ends",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD, "answered 100"),
        (b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "answered 101"),
        (b"\x1b[2J\x00\xff\r\n\r\n", "does not speak HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
    ],
)
async def test_lies_and_endless_answers_fail(
    connections: Connections, sent: bytes, told: str
) -> None:
    async with served(saying(sent)) as server:
        with pytest.raises(QueryFailed, match=told) as failed:
            await connections.ask(server.peer, REQUEST)
    assert failed.value.message.isprintable()


async def test_an_endless_stream_is_cut_off_early(connections: Connections) -> None:
    sent = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await request_read(reader)
        writer.write(HEAD + b"\r\n")
        while True:
            writer.write(b"[" * 65536)
            await writer.drain()
            sent += 65536

    async with served(handle) as server:
        with pytest.raises(QueryFailed, match="larger than"):
            await connections.ask(server.peer, REQUEST)
        await asyncio.sleep(0.05)
    assert sent < 16 << 20


async def test_a_server_that_resets_after_a_whole_answer_has_answered(
    connections: Connections,
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_read(reader)
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n[1]")
        await writer.drain()
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0"
        )

    async with served(handle) as server:
        assert (await connections.ask(server.peer, REQUEST)).body == b"[1]"


@given(data=st.binary(max_size=60) | st.binary(max_size=40).map(GOOD.__add__), cut=st.integers())
def test_any_bytes_are_an_answer_or_a_failure(data: bytes, cut: int) -> None:
    reading = _Reading(MAX_BODY)
    at = cut % (len(data) + 1)
    try:
        complete = any(reading.feed(piece) for piece in (data[:at], data[at:]) if piece)
        answer = reading.answer() if complete else reading.ended()
    except (QueryFailed, _Lost) as error:
        answer, said = Answer(500, b""), str(error)
    else:
        said = ""
    assert said.isprintable()
    assert answer.status >= 200
    assert len(answer.body) <= MAX_BODY


# --- time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\n", HEAD + b"Content-Length: 9\r\n\r\n{"]
)
async def test_who_gives_up_closes_the_connection(connections: Connections, said: bytes) -> None:
    closed = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_read(reader)
        writer.write(said)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        closed.set()

    async with served(handle) as server:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await connections.ask(server.peer, REQUEST)
        async with asyncio.timeout(5):
            await closed.wait()
        assert server.opened == 1


async def test_nobody_listens(connections: Connections) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(NotListening, match="does not accept connections"):
            await connections.ask(Peer("ref", *taken.getsockname()), REQUEST)


# --- kept connections ---------------------------------------------------------------------------


async def test_a_connection_is_kept_for_the_next_request(connections: Connections) -> None:
    async with served(saying(GOOD, keep=True)) as server:
        for _ in range(5):
            assert (await connections.ask(server.peer, REQUEST)).body == b"{}"
        assert server.opened == 1
        await asyncio.gather(*(connections.ask(server.peer, REQUEST) for _ in range(3)))
        assert server.opened == 3
        other = Peer("another container", server.peer.host, server.peer.port)
        await connections.ask(other, REQUEST)
        assert server.opened == 4


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        GOOD + b"more",
        GOOD + GOOD,
    ],
    ids=["close", "old", "surplus", "twice"],
)
async def test_one_that_cannot_be_trusted_with_another_is_closed(
    connections: Connections, answer: bytes
) -> None:
    async with served(saying(answer, keep=True)) as server:
        for _ in range(2):
            assert (await connections.ask(server.peer, REQUEST)).body == b"{}"
        assert server.opened == 2


async def test_an_answer_that_nobody_asked_for_ends_the_connection(
    connections: Connections,
) -> None:
    async with served(saying(GOOD, GOOD, pause=0.02, keep=True)) as server:
        await connections.ask(server.peer, REQUEST)
        await asyncio.sleep(0.1)
        await connections.ask(server.peer, REQUEST)
        assert server.opened == 2


async def test_one_that_was_closed_meanwhile_is_replaced(connections: Connections) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_read(reader)
        writer.write(GOOD)
        # Only once the second request is on its way: as when both happen at once.
        await request_read(reader)

    async with served(handle) as server:
        for opened in (1, 2, 3):
            assert (await connections.ask(server.peer, REQUEST)).body == b"{}"
            assert server.opened == opened


async def test_a_server_that_ends_because_of_a_request_is_not_asked_again(
    connections: Connections,
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_read(reader)
        writer.write(GOOD)
        await request_read(reader)
        await asyncio.sleep(2 * http_client.CLOSED_BEFORE_SEC)

    async with served(handle) as server:
        await connections.ask(server.peer, REQUEST)
        with pytest.raises(QueryFailed, match="without an answer"):
            await connections.ask(server.peer, REQUEST)
        assert server.opened == 1


async def test_idle_connections_are_closed_in_time(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "KEPT_SEC", 0.05)
    async with served(saying(GOOD, keep=True)) as server:
        await connections.ask(server.peer, REQUEST)
        assert len(connections._idle[server.peer]) == 1
        await asyncio.sleep(0.2)
        assert not connections._idle
        await connections.ask(server.peer, REQUEST)
        assert server.opened == 2
