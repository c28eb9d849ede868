"""What other services do with NATS: a stream of events, and events."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import nats
from nats.aio.client import Client
from nats.js.api import StreamConfig

from the0.events.connection import round_trip

STREAM = "THE0_EVENTS"
SUBJECTS = ["the0.bot.*", "the0.bot-schedule.*"]
WEEK_SEC = 7 * 24 * 3600

Event = tuple[str, Mapping[str, Any]]
"""A subject and a payload."""


@contextlib.contextmanager
def event_stream(url: str) -> Iterator[None]:
    """The stream that keeps events, for as long as the block lasts."""
    asyncio.run(_make_stream(url))
    try:
        yield
    finally:
        asyncio.run(_delete_stream(url))


def publish(url: str, *events: Event) -> None:
    """Send events as plain messages."""
    asyncio.run(_publish(url, events))


def publish_kept(url: str, *events: Event) -> None:
    """Send events, each acknowledged by the stream."""
    asyncio.run(_publish_kept(url, events))


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    """A client of the server."""
    client = await nats.connect(url)
    try:
        yield client
    finally:
        await client.close()


async def _make_stream(url: str) -> None:
    async with connected(url) as client:
        config = StreamConfig(name=STREAM, subjects=SUBJECTS, max_age=WEEK_SEC)
        await client.jetstream().add_stream(config)


async def _delete_stream(url: str) -> None:
    async with connected(url) as client:
        await client.jetstream().delete_stream(STREAM)


async def _publish(url: str, events: tuple[Event, ...]) -> None:
    async with connected(url) as client:
        for subject, payload in events:
            await client.publish(subject, _encoded(payload))
        await round_trip(client)


async def _publish_kept(url: str, events: tuple[Event, ...]) -> None:
    async with connected(url) as client:
        for subject, payload in events:
            await client.jetstream().publish(subject, _encoded(payload))


def _encoded(payload: Mapping[str, Any]) -> bytes:
    return json.dumps(payload).encode()
