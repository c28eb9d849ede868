"""HTTP to the query servers of bots: kept-alive connections, and no trust in what comes back.

The parser is the one that serves our own HTTP (llhttp, by way of httptools), which refuses answers
that contradict themselves. Bounded here are the head, the body and, for endless streams of empty
pieces, the bytes in all; time is the caller's: whoever is cancelled closes the connection.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from the0.errors import Unavailable
from the0.queries.models import Answer, QueryFailed

KEPT_SEC = 4.0
"""Less than Node's servers keep an idle connection, which is 5 s."""
MAX_HEAD_BYTES = 64 << 10
MAX_OVERHEAD = 8
"""Bytes on the wire for each byte of body: a sender of pieces of one byte needs six."""

CLOSED_BEFORE_SEC = 0.1

_FINAL = 200
_NO_ANSWER = "The query server closed the connection without an answer."


@dataclass(frozen=True)
class Peer:
    """A running container (`ref`) and where its query server listens."""

    ref: str
    host: str
    port: int


class NotListening(Unavailable):
    """Nobody accepts connections there."""


class _Lost(Exception):
    """The connection ended before the first byte of an answer."""


class Connections:
    """Connections to query servers. One is kept for the next request if its server keeps it.

    A kept one leads to the container that it was opened to, whatever has that address now.
    """

    def __init__(self, max_body_bytes: int) -> None:
        self._max_body = max_body_bytes
        self._idle: defaultdict[Peer, list[_Connection]] = defaultdict(list)

    async def ask(self, peer: Peer, request: bytes) -> Answer:
        """The answer to `request`, which must be one that may be sent twice.

        Raises NotListening, and QueryFailed for an answer that is none.
        """
        kept = self._take(peer)
        if kept is not None:
            begun = asyncio.get_running_loop().time()
            try:
                return await self._exchange(peer, kept, request)
            except _Lost as lost:
                # At once: it was closed before the request was seen. Later: because of it.
                if asyncio.get_running_loop().time() > begun + CLOSED_BEFORE_SEC:
                    raise QueryFailed(_NO_ANSWER) from lost
        try:
            return await self._exchange(peer, await self._open(peer), request)
        except _Lost as lost:
            raise QueryFailed(_NO_ANSWER) from lost

    def close(self) -> None:
        """Close what is kept."""
        for kept in list(self._idle.values()):
            for connection in kept:
                connection.close()
        self._idle.clear()

    async def _open(self, peer: Peer) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: _Connection(self._max_body), peer.host, peer.port
            )
        except OSError as error:
            raise NotListening(
                "The bot's query server does not accept connections: it is starting, or its "
                "program has ended and is started again."
            ) from error
        return connection

    async def _exchange(self, peer: Peer, connection: _Connection, request: bytes) -> Answer:
        try:
            answer = await connection.ask(request)
        except BaseException:
            connection.close()
            raise
        if connection.usable:
            self._keep(peer, connection)
        return answer

    def _take(self, peer: Peer) -> _Connection | None:
        kept = self._idle.get(peer, [])
        while kept:
            connection = kept.pop()
            connection.busy()
            if connection.usable:
                return connection
        self._idle.pop(peer, None)
        return None

    def _keep(self, peer: Peer, connection: _Connection) -> None:
        self._idle[peer].append(connection)
        connection.idle(lambda: self._drop(peer, connection))

    def _drop(self, peer: Peer, connection: _Connection) -> None:
        connection.close()
        kept = self._idle.get(peer, [])
        if connection in kept:
            kept.remove(connection)
        if not kept:
            self._idle.pop(peer, None)


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, max_body: int) -> None:
        self._max_body = max_body
        self._transport: asyncio.Transport | None = None
        self._reading: _Reading | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False

    @property
    def usable(self) -> bool:
        """Whether another request may follow."""
        return not self._ended

    async def ask(self, request: bytes) -> Answer:
        assert self._transport
        if self._ended:
            raise _Lost
        self._reading = _Reading(self._max_body)
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def idle(self, expired: Callable[[], None]) -> None:
        """Nobody needs it; `expired` is called unless it is busy again in time."""
        self._timer = asyncio.get_running_loop().call_later(KEPT_SEC, expired)

    def busy(self) -> None:
        if self._timer:
            self._timer.cancel()

    def close(self) -> None:
        self._ended = True
        self.busy()
        if self._transport:
            self._transport.abort()

    # --- asyncio's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._reading is None:
            # Nobody asked: it would be taken for the answer to the next request.
            self.close()
            return
        try:
            complete = self._reading.feed(data)
        except QueryFailed as error:
            self._settle(error)
            self.close()
            return
        if complete:
            if not self._reading.keeps_connection:
                self.close()
            self._settle(self._reading.answer())

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        if self._reading is None:
            return
        try:
            self._settle(self._reading.ended())
        except (QueryFailed, _Lost) as error:
            self._settle(error)

    def _settle(self, outcome: Answer | Exception) -> None:
        if self._reading:
            self._reading.forget()
            self._reading = None
        if self._answer is None or self._answer.done():
            return
        if isinstance(outcome, Answer):
            self._answer.set_result(outcome)
        else:
            self._answer.set_exception(outcome)


class _Reading:
    """One answer on its way in. The `on_` methods are called by the parser."""

    def __init__(self, max_body: int) -> None:
        self._parser = HttpResponseParser(self)
        self._max_body = max_body
        self._received = 0
        self._messages = 0
        self._status = 0
        self._body = bytearray()
        self._in_body = self._sized = self._complete = False
        self._fault = ""
        self.keeps_connection = False

    def feed(self, data: bytes) -> bool:
        """Take in what came; whether the answer is complete. Raises QueryFailed."""
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self.keeps_connection = False
            if not self._complete:
                self._fail(f"The query server does not speak HTTP: {error}")
        if not self._in_body and self._received > MAX_HEAD_BYTES:
            self._fail("The head of the query server's answer never ends.")
        if self._received > MAX_HEAD_BYTES + MAX_OVERHEAD * self._max_body:
            self._fail("The query server's answer never ends.")
        if self._fault:
            raise QueryFailed(self._fault)
        return self._complete

    def ended(self) -> Answer:
        """The answer when the connection has ended. Raises QueryFailed for half of one, _Lost."""
        if not self._received:
            raise _Lost
        if not self._in_body or self._sized:
            raise QueryFailed("The query server closed the connection in the middle of its answer.")
        # Without a length it ends with the connection, as it does in HTTP/1.0.
        return self.answer()

    def answer(self) -> Answer:
        return Answer(self._status, bytes(self._body))

    def forget(self) -> None:
        """Let go of the parser, which knows this object: a circle that only the collector of
        garbage would end, at everybody's cost."""
        del self._parser

    # --- the parser's side ---

    def on_message_begin(self) -> None:
        self._messages += 1
        if self._messages > 1:
            self.keeps_connection = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._messages > 1:
            return
        match name.lower():
            case b"content-length":
                self._sized = True
                self._check_size(int(value))
            case b"transfer-encoding":
                self._sized = True

    def on_headers_complete(self) -> None:
        if self._messages > 1:
            return
        self._in_body = True
        self._status = self._parser.get_status_code()
        if self._status < _FINAL:
            self._fail(f"The query server answered {self._status}, which is no answer.")

    def on_body(self, piece: bytes) -> None:
        if self._messages > 1:
            return
        self._check_size(len(self._body) + len(piece))
        if not self._fault:
            self._body += piece

    def on_message_complete(self) -> None:
        if self._messages == 1:
            self._complete = True
            self.keeps_connection = self._parser.should_keep_alive()

    def _check_size(self, size: int) -> None:
        if size > self._max_body:
            self._fail(f"The bot's answer is larger than {self._max_body:,} bytes.")

    def _fail(self, fault: str) -> None:
        self._fault = self._fault or fault
