"""Live log text and warnings for whoever follows them on NATS."""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Mapping
from contextlib import suppress

from nats.aio.client import Client

from the0.events.connection import round_trip, stay_connected
from the0.models import JSON
from the0.settings import NatsSettings

BUFFER_BYTES = 16 * 1024 * 1024
MESSAGE_BYTES = 1024 * 1024
SUBJECT_CHARS = 4000
"""NATS servers cut a connection that sends a longer subject, and with it everybody else's log."""

BATCH_MESSAGES = 64
LAST_FLUSH_SEC = 2.0


def log_subject(bot_id: str) -> str:
    """The subject of a bot's log: every character outside `[A-Za-z0-9_-]` becomes `_`."""
    return f"the0.bot.logs.{_token(bot_id)}"


def alert_subject(bot_id: str) -> str:
    """The subject of warnings about a scheduled bot, below a branch that no bot event has."""
    return f"the0.alerts.bot-schedule.{_token(bot_id)}"


def _token(bot_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", bot_id)


class LogPublisher:
    """Publishes from a bounded buffer; what no longer fits drops the oldest text, counted in
    `dropped` (messages). Used from the event loop that started it."""

    def __init__(self, settings: NatsSettings) -> None:
        self.connected = False
        self.dropped = 0
        self._url = settings.url
        self._buffer: deque[tuple[str, bytes]] = deque()
        self._buffered_bytes = 0
        self._filled = asyncio.Event()
        self._empty = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        if self._url and self._task is None:
            work = stay_connected(self._url, "logs", self._session)
            self._task = asyncio.create_task(work, name="log publisher")

    def publish(self, bot_id: str, data: bytes) -> None:
        """Queue raw log text of any size. Never waits and never raises; without a NATS address
        it does nothing, nor for a bot whose subject no server takes."""
        self._publish(log_subject(bot_id), data)

    def alert(self, bot_id: str, event: Mapping[str, JSON]) -> None:
        """Queue a warning about a bot, in the same way."""
        self._publish(alert_subject(bot_id), json.dumps(event).encode())

    def _publish(self, subject: str, data: bytes) -> None:
        if not self._url or len(subject) > SUBJECT_CHARS:
            return
        for start in range(0, len(data), MESSAGE_BYTES):
            self._buffer.append((subject, data[start : start + MESSAGE_BYTES]))
        self._buffered_bytes += len(data)
        while self._buffered_bytes > BUFFER_BYTES:
            self._take()
            self.dropped += 1
        self._filled.set()
        self._empty.clear()

    async def close(self) -> None:
        """Send what is buffered, as far as that goes quickly, and disconnect."""
        if self._task is None:
            return
        if self.connected and self._buffer:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_FLUSH_SEC):
                    await self._empty.wait()
        self._task.cancel()
        await asyncio.wait({self._task})
        self._task = None

    async def _session(self, client: Client) -> None:
        self.connected = True
        try:
            while True:
                await self._filled.wait()
                await self._send(client)
        finally:
            self.connected = False

    async def _send(self, client: Client) -> None:
        for _ in range(min(BATCH_MESSAGES, len(self._buffer))):
            subject, data = self._take()
            for start in range(0, len(data), client.max_payload):
                await client.publish(subject, data[start : start + client.max_payload])
        await round_trip(client)  # so that a slow server fills our buffer only
        if not self._buffer:
            self._filled.clear()
            self._empty.set()

    def _take(self) -> tuple[str, bytes]:
        subject, data = self._buffer.popleft()
        self._buffered_bytes -= len(data)
        return subject, data
