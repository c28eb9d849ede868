"""A TCP proxy that misbehaves on demand: for the faults that a real server cannot be asked for.

::

    with fault_proxy("127.0.0.1", server.port) as proxy:
        client = connect(proxy.host, proxy.port)
        proxy.hang()                      # connections stay open and nothing moves
        proxy.heal()                      # what was held back moves on
        proxy.reset()                     # connections are reset, new ones too
        proxy.cut_answers(after=1000)     # each connection breaks off inside an answer
        proxy.cut_requests(after=1000)    # … or inside a request
        proxy.delay(0.2)                  # every piece of data comes late
        proxy.answer(http_500)            # these bytes answer every request

It knows nothing of what it carries, so it stands in front of MongoDB, S3 or NATS alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

_PIECE = 64 * 1024
_DRAIN_SEC = 2.0


@dataclass(frozen=True)
class _Fault:
    """What is wrong now; the default is nothing."""

    hang: bool = False
    reset: bool = False
    delay_sec: float = 0.0
    cut_requests: int | None = None
    cut_answers: int | None = None
    answer: bytes | None = None


class FaultProxy:
    """Forwards from a free loopback port to `target`; made by :func:`fault_proxy`.

    Its methods may be called from any thread and act on open connections as on new ones;
    each replaces the fault before it. `accepted` counts connections, `sent_to_clients` bytes.
    """

    host = "127.0.0.1"

    def __init__(self, target_host: str, target_port: int) -> None:
        self._target = (target_host, target_port)
        self._fault = _Fault()
        self._listener = socket.create_server((self.host, 0))
        self._connections: set[asyncio.Task[None]] = set()
        self._moving = asyncio.Event()
        self._moving.set()
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0
        self.sent_to_clients = 0

    @property
    def endpoint(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"

    def heal(self) -> None:
        """Forward as if nothing had happened; what hung moves on."""
        self._become(_Fault())

    def hang(self) -> None:
        """Accept and keep connections, but move nothing in either direction."""
        self._become(_Fault(hang=True))

    def reset(self) -> None:
        """Reset each connection at its next byte, new ones at once."""
        self._become(_Fault(reset=True))

    def delay(self, seconds: float) -> None:
        """Hold back every piece of data for so long."""
        self._become(_Fault(delay_sec=seconds))

    def cut_requests(self, after: int) -> None:
        """Reset a connection once the client has sent `after` bytes over it."""
        self._become(_Fault(cut_requests=after))

    def cut_answers(self, after: int) -> None:
        """Reset a connection once the server has sent `after` bytes over it."""
        self._become(_Fault(cut_answers=after))

    def answer(self, raw: bytes) -> None:
        """Answer every request with these bytes and close; the server hears nothing of it."""
        self._become(_Fault(answer=raw))

    async def serve(self, ready: threading.Event) -> None:
        """Forward until :meth:`end`; sets `ready` once it does."""
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._accept, sock=self._listener)
        ready.set()
        await self._stop.wait()
        server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def end(self) -> None:
        """Stop forwarding."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    def _become(self, fault: _Fault) -> None:
        if self._loop is None:
            raise RuntimeError("the proxy is not running")

        async def change() -> None:
            self._fault = fault
            (self._moving.clear if fault.hang else self._moving.set)()

        asyncio.run_coroutine_threadsafe(change(), self._loop).result()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.get_running_loop().create_task(self._connect(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._fault.reset:
            _reset(writer)
            return
        try:
            upstream = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(writer)
            return
        await self._carry(reader, writer, *upstream)

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
    ) -> None:
        requests = asyncio.create_task(self._pump(reader, server_writer, writer))
        answers = asyncio.create_task(self._pump(server_reader, writer, None))
        try:
            await asyncio.wait({requests, answers}, return_when=asyncio.FIRST_COMPLETED)
            if not answers.done() and not requests.exception():
                await asyncio.wait({answers}, timeout=_DRAIN_SEC)
        finally:
            for task in (requests, answers):
                task.cancel()
            await asyncio.gather(requests, answers, return_exceptions=True)
            broken = any(not one.cancelled() and one.exception() for one in (requests, answers))
            for end in (writer, server_writer):
                _reset(end) if broken else end.close()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        client: asyncio.StreamWriter | None,
    ) -> None:
        """Move data one way. `client` is given for requests: where a made-up answer goes."""
        moved = 0
        while data := await source.read(_PIECE):
            await self._hold()
            fault = self._fault
            cut = fault.cut_answers if client is None else fault.cut_requests
            if fault.answer is not None and client is not None:
                await _answer(fault.answer, source, client)
                return
            if fault.reset or (cut is not None and moved + len(data) > cut):
                sink.write(data[: max(0, (cut or 0) - moved)])
                await sink.drain()
                raise ConnectionResetError
            sink.write(data)
            await sink.drain()
            moved += len(data)
            self.sent_to_clients += len(data) if client is None else 0

    async def _hold(self) -> None:
        await asyncio.sleep(self._fault.delay_sec)
        await self._moving.wait()


async def _answer(raw: bytes, source: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
    # Closing with unread data would reset the connection and lose the answer on its way.
    client.write(raw)
    await client.drain()
    client.write_eof()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SEC):
            while await source.read(_PIECE):
                pass


def _reset(writer: asyncio.StreamWriter) -> None:
    found = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.contextmanager
def fault_proxy(target_host: str, target_port: int) -> Iterator[FaultProxy]:
    """A running proxy in front of `target_host:target_port`, in a thread of its own."""
    proxy = FaultProxy(target_host, target_port)
    ready = threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(proxy.serve(ready),), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield proxy
    finally:
        proxy.end()
        thread.join()
