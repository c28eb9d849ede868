"""The event source and the log publisher against a real nats-server."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import StreamConfig

from the0.bot_events import BotEvent
from the0.errors import InvalidDocument, Unavailable
from the0.events import EventSource, LogPublisher, log_subject, source
from the0.events.connection import round_trip
from the0.settings import NatsSettings
from the0.testing.servers import Server, nats_server

DEADLINE_SEC = 60
DOCUMENT = {"config": {"name": "x", "secret": "hunter2"}, "custom": {"version": "1"}}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with nats_server(tmp_path / "nats") as server:
        yield server


class Recorder:
    """A handler that keeps what it got; `fail_with` is raised, one at a call, before that."""

    def __init__(self, *fail_with: Exception) -> None:
        self.events: list[BotEvent] = []
        self.failures = list(fail_with)
        self.reconnects = 0

    async def handle(self, event: BotEvent) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.events.append(event)

    async def on_reconnect(self) -> None:
        self.reconnects += 1

    @property
    def ids(self) -> list[str]:
        return [event.id for event in self.events]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_SEC):
        while not condition():  # noqa: ASYNC110 - polls what has no event
            await asyncio.sleep(0.02)


@asynccontextmanager
async def following(url: str, recorder: Recorder) -> AsyncIterator[EventSource]:
    events = EventSource(NatsSettings(url=url), "t", recorder.handle, recorder.on_reconnect)
    task = asyncio.create_task(events.run())
    try:
        yield events
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def client(server: Server) -> AsyncIterator[Client]:
    connected = await nats.connect(server.url)
    try:
        yield connected
    finally:
        await connected.close()


async def make_stream(connected: Client) -> None:
    subjects = [
        f"the0.{kind}.{action}"
        for kind in ("bot", "bot-schedule")
        for action in ("created", "updated", "deleted")
    ]
    await connected.jetstream().add_stream(StreamConfig(name="THE0_EVENTS", subjects=subjects))


def direct(bot_id: str) -> bytes:
    return json.dumps({"id": bot_id, **DOCUMENT}).encode()


def wrapped(bot_id: str) -> bytes:
    data = {"id": bot_id, **DOCUMENT}
    stamp = "2026-01-01T00:00:00Z"
    body = {"type": "bot.updated", "entity_id": bot_id, "data": data, "timestamp": stamp}
    return json.dumps(body).encode()


async def test_plain_messages_in_both_forms(server: Server) -> None:
    recorder = Recorder()
    async with following(server.url, recorder) as events, client(server) as sender:
        await until(lambda: events.connected)
        await sender.publish("the0.bot.created", direct("a"))
        await sender.publish("the0.bot.updated", wrapped("b"))
        await sender.publish("the0.bot-schedule.updated", wrapped("scheduled: not ours"))
        await sender.publish("the0.bot.deleted", b'{"id": "c"}')
        await until(lambda: len(recorder.events) == 3)
    assert [(e.action, e.id) for e in recorder.events] == [
        ("created", "a"),
        ("updated", "b"),
        ("deleted", "c"),
    ]
    assert recorder.reconnects == 1
    assert not events.connected


async def test_what_was_sent_while_away_is_read_from_the_stream(server: Server) -> None:
    async with client(server) as sender:
        await make_stream(sender)
        await sender.publish("the0.bot.created", direct("a week old"))
        first = Recorder()
        async with following(server.url, first) as events:
            await until(lambda: events.connected)
            await sender.publish("the0.bot.created", direct("a"))
            await until(lambda: first.ids == ["a"])
        for bot_id in "bcd":
            await sender.publish("the0.bot.updated", direct(bot_id))
        await round_trip(sender)
        second = Recorder()
        async with following(server.url, second):
            await until(lambda: second.ids == ["b", "c", "d"])
    assert second.reconnects == 1


async def test_the_server_is_down_at_the_start_and_dies_again(server: Server) -> None:
    server.kill()
    recorder = Recorder()
    async with following(server.url, recorder) as events:
        await asyncio.sleep(0.5)
        assert not events.connected
        for bot_id in ("a", "b"):
            server.start()
            await until(lambda: events.connected)
            async with client(server) as sender:
                await sender.publish("the0.bot.created", direct(bot_id))
                await until(lambda: recorder.ids[-1:] == [bot_id])  # noqa: B023 - awaited at once
            server.kill()
            await until(lambda: not events.connected)
    assert recorder.reconnects == 2


async def test_a_stream_that_appears_later_is_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "STREAM_LOOK_SEC", 0.2)
    recorder = Recorder()
    async with client(server) as sender:
        async with following(server.url, recorder):
            await until(lambda: recorder.reconnects == 1)
            await make_stream(sender)
            await until(lambda: recorder.reconnects == 2)
        await sender.publish("the0.bot.updated", direct("sent while away"))
        async with following(server.url, recorder):
            await until(lambda: recorder.ids == ["sent while away"])


async def test_a_failing_handler_gets_the_event_again_in_order(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "RETRY_SEC", 0.2)
    recorder = Recorder(Unavailable("MongoDB is away"), Unavailable("MongoDB is away"))
    async with client(server) as sender:
        await make_stream(sender)
        async with following(server.url, recorder) as events:
            await until(lambda: events.connected)
            for bot_id in "abc":
                await sender.publish("the0.bot.updated", direct(bot_id))
            await until(lambda: len(recorder.events) == 3)
    assert recorder.ids == ["a", "b", "c"]


async def test_a_handler_may_take_longer_than_the_server_waits(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "ACK_WAIT_SEC", 0.5)
    recorder = Recorder()

    async def slow(event: BotEvent) -> None:
        await asyncio.sleep(1.5)
        await recorder.handle(event)

    async with client(server) as sender:
        await make_stream(sender)
        settings = NatsSettings(url=server.url)
        events = EventSource(settings, "t", slow, recorder.on_reconnect)
        task = asyncio.create_task(events.run())
        await until(lambda: events.connected)
        for bot_id in "ab":
            await sender.publish("the0.bot.updated", direct(bot_id))
        await until(lambda: len(recorder.events) >= 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert recorder.ids == ["a", "b"]


@pytest.mark.parametrize("with_stream", [False, True])
async def test_poison_is_dropped_with_one_warning_without_content(
    server: Server, with_stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(InvalidDocument("the document is too large"))
    async with client(server) as sender:
        if with_stream:
            await make_stream(sender)
        async with following(server.url, recorder) as events:
            await until(lambda: events.connected)
            with caplog.at_level(logging.WARNING):
                await sender.publish("the0.bot.updated", b'{"id": "hunter2"')
                await sender.publish("the0.bot.updated", direct("too large"))
                await sender.publish("the0.bot.updated", direct("fine"))
                await until(lambda: recorder.ids == ["fine"])
    dropped = [r.getMessage() for r in caplog.records if "is dropped" in r.getMessage()]
    assert len(dropped) == 2
    assert "the0.bot.updated" in dropped[0]
    assert "no JSON" in dropped[0]
    assert "hunter2" not in caplog.text


async def test_a_handler_with_a_defect_does_not_block_the_others(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "RETRY_SEC", 0.1)
    recorder = Recorder(*[RuntimeError("a defect")] * source.UNEXPECTED_ATTEMPTS)
    async with client(server) as sender:
        await make_stream(sender)
        async with following(server.url, recorder) as events:
            await until(lambda: events.connected)
            await sender.publish("the0.bot.updated", direct("broken"))
            await sender.publish("the0.bot.updated", direct("fine"))
            await until(lambda: recorder.ids == ["fine"])


async def test_a_server_that_hangs_is_noticed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("the0.events.connection.PING_SEC", 1)
    recorder = Recorder()
    async with following(server.url, recorder) as events:
        await until(lambda: events.connected)
        server.freeze()
        await until(lambda: not events.connected)
        server.thaw()
        await until(lambda: events.connected)


@asynccontextmanager
async def slow_after_a_ping(server: Server) -> AsyncIterator[str]:
    """An address of the server at which all that a client sends after a ping arrives late."""
    relays = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            head, ping, tail = data.partition(b"PING\r\n")
            writer.write(head + ping)
            if ping:
                await asyncio.sleep(0.2)
            writer.write(tail)
        writer.close()

    async def back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", server.port)
        relays.append(asyncio.gather(forward(reader, there[1]), back(there[0], writer)))

    listener = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield server.url.replace(str(server.port), str(port))
    await asyncio.gather(*relays)


async def test_after_a_round_trip_a_subscription_holds(server: Server) -> None:
    heard: list[Msg] = []

    async def hear(message: Msg) -> None:
        heard.append(message)

    async with slow_after_a_ping(server) as url, client(server) as sender:
        reader = await nats.connect(url)
        await reader.subscribe("a", cb=hear)
        await round_trip(reader)
        await sender.publish("a", b"x")
        await until(lambda: bool(heard))
        await reader.close()


async def collect(
    server: Server, subject: str, wanted: int, send: Callable[[], Awaitable[None]]
) -> bytes:
    received = bytearray()

    async def take(message: object) -> None:
        received.extend(message.data)  # type: ignore[attr-defined]

    async with client(server) as reader:
        await reader.subscribe(subject, cb=take)
        await round_trip(reader)
        await send()
        await until(lambda: len(received) >= wanted)
    return bytes(received)


async def test_log_text_of_any_size_arrives(server: Server) -> None:
    publisher = LogPublisher(NatsSettings(url=server.url))
    await publisher.start()
    text = bytes(range(256)) * 10_000

    async def send() -> None:
        publisher.publish("user/bot 1", text)

    try:
        assert await collect(server, "the0.bot.logs.user_bot_1", len(text), send) == text
        assert publisher.dropped == 0
    finally:
        await publisher.close()
    assert not publisher.connected


async def test_an_id_too_long_for_a_subject_costs_nobody_else_the_log(server: Server) -> None:
    publisher = LogPublisher(NatsSettings(url=server.url))
    await publisher.start()
    await until(lambda: publisher.connected)

    async def send() -> None:
        for bot_id, text in (("b", b"be"), ("x" * 5000, b"lost"), ("b", b"fore")):
            publisher.publish(bot_id, text)

    try:
        assert await collect(server, log_subject("b"), 6, send) == b"before"
    finally:
        await publisher.close()


async def test_log_text_waits_for_the_server_and_drops_the_oldest(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("the0.events.publisher.BUFFER_BYTES", 30)
    server.kill()
    publisher = LogPublisher(NatsSettings(url=server.url))
    await publisher.start()
    for number in range(10):
        publisher.publish("b", b"%010d" % number)
    assert publisher.dropped == 7
    server.start()
    try:
        await until(lambda: publisher.connected)

        async def send() -> None:
            publisher.publish("b", b"the end")

        received = await collect(server, log_subject("b"), 7, send)
    finally:
        await publisher.close()
    assert received.endswith(b"the end")


async def test_closing_sends_what_is_buffered(server: Server) -> None:
    publisher = LogPublisher(NatsSettings(url=server.url))
    await publisher.start()
    await until(lambda: publisher.connected)

    async def send() -> None:
        publisher.publish("b", b"last words")
        await publisher.close()

    assert await collect(server, log_subject("b"), 10, send) == b"last words"


async def test_without_an_address_nothing_happens() -> None:
    publisher = LogPublisher(NatsSettings())
    await publisher.start()
    publisher.publish("b", b"x")
    await publisher.close()
    recorder = Recorder()
    async with following("", recorder) as events:
        await asyncio.sleep(0)
        assert not events.connected
