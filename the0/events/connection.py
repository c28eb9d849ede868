"""One connection to NATS, made again for ever; errors of nats-py end here.

nats-py's own reconnecting is off: every connection, the first one too, goes the same way, so that
whoever uses it starts afresh each time and cannot miss that there was a gap.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from nats.aio.client import Client
from nats.errors import Error as NatsError

from the0.cancellation import cancellation_heard
from the0.errors import Unavailable

log = logging.getLogger(__name__)

CONNECT_SEC = 5
PING_SEC = 5
"""Three pings without an answer end a connection, so a server that hangs is noticed."""
CLOSE_SEC = 2.0
FLUSH_SEC = 10
BACKOFF_SEC = (0.2, 10.0)
FAILURES = (NatsError, OSError, TimeoutError, ValueError)

Session = Callable[[Client], Awaitable[None]]


async def stay_connected(url: str, purpose: str, session: Session) -> None:
    """Connect to `url`, run `session` until the connection ends, and again, for ever."""
    delay = BACKOFF_SEC[0]
    while True:
        began = time.monotonic()
        try:
            await _one_session(url, session)
        except Unavailable as error:
            log.warning("NATS (%s): %s; trying again", purpose, error)
        if time.monotonic() - began > BACKOFF_SEC[1]:
            delay = BACKOFF_SEC[0]
        await asyncio.sleep(delay * random.uniform(0.7, 1.3))  # noqa: S311 - jitter
        delay = min(delay * 2, BACKOFF_SEC[1])


async def _one_session(url: str, session: Session) -> None:
    lost = asyncio.Event()
    try:
        async with _connected(url, lost) as client:
            await _until_lost(session(client), lost)
    except FAILURES as error:
        raise Unavailable(f"the connection failed ({type(error).__name__})") from error


@asynccontextmanager
async def _connected(url: str, lost: asyncio.Event) -> AsyncIterator[Client]:
    async def on_closed() -> None:
        lost.set()

    async def on_error(error: Exception) -> None:
        log.debug("NATS: %s", type(error).__name__)

    client = Client()
    try:
        with cancellation_heard():
            async with asyncio.timeout(CONNECT_SEC * 2):
                await client.connect(
                    servers=url.split(","),
                    name="the0",
                    allow_reconnect=False,
                    connect_timeout=CONNECT_SEC,
                    ping_interval=PING_SEC,
                    closed_cb=on_closed,
                    error_cb=on_error,
                )
        yield client
    finally:
        with suppress(*FAILURES):
            async with asyncio.timeout(CLOSE_SEC):
                await client.close()


async def round_trip(client: Client) -> None:
    """Until the server has taken in all that was sent before.

    nats-py (2.16) writes the ping of a flush at once and what is pending after it, so that only
    the second answer says anything. Raises nats-py's errors.
    """
    for _ in range(2):
        await client.flush(FLUSH_SEC)


async def _until_lost(session: Awaitable[None], lost: asyncio.Event) -> None:
    """Run `session`; cancel it and raise Unavailable as soon as the connection is lost."""
    work = asyncio.ensure_future(session)
    gone = asyncio.ensure_future(lost.wait())
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise Unavailable("the connection was lost")
        work.result()
    finally:
        gone.cancel()
        while not work.done():  # nats-py may drop a cancellation, see the0.cancellation
            work.cancel()
            await asyncio.wait({work}, timeout=CLOSE_SEC)
        await asyncio.gather(work, gone, return_exceptions=True)
