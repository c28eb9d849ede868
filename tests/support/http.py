"""An app that really serves while a test talks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from the0.http import App, start_app, tcp_socket


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """Serves `app` on a free loopback port; yields a client for it."""
    sock = tcp_socket("127.0.0.1", 0)
    port = sock.getsockname()[1]
    running = await start_app(app, sock)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        await running.close(grace_sec=1)
