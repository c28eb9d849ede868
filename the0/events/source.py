"""Events about bots, each handled before it is acknowledged, in their order.

Where the JetStream stream exists, a durable consumer keeps what was sent while the host was away;
else plain NATS messages are followed until the stream appears.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import Enum

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError, ServiceUnavailableError

from the0.bot_events import ACTIONS, BotEvent, parse_event
from the0.errors import InvalidInput, The0Error
from the0.events.connection import round_trip, stay_connected
from the0.models import BotType
from the0.settings import NatsSettings

log = logging.getLogger(__name__)

STREAM = "THE0_EVENTS"
STREAM_LOOK_SEC = 10.0
API_SEC = 5.0
FETCH_SEC = 30.0
RETRY_SEC = 2.0
ACK_WAIT_SEC = 5.0
"""An event that a killed host had in its hands is sent again after this time; a living one asks
for more time while its handler works."""
UNEXPECTED_ATTEMPTS = 3

_SUBJECT = {BotType.REALTIME: "the0.bot", BotType.SCHEDULED: "the0.bot-schedule"}
_DURABLE = {BotType.REALTIME: "bot", BotType.SCHEDULED: "schedule"}

Handler = Callable[[BotEvent], Awaitable[object]]
Reconnected = Callable[[], Awaitable[object]]


class Verdict(Enum):
    """What becomes of a message after it was handled."""

    DONE = "done"
    LATER = "later"
    HOPELESS = "hopeless"


class EventSource:
    """Follows the events of one type of bots.

    `handler` is awaited for each event, one after the other; the event is acknowledged once it
    returned, and sent again when it raised a retryable error. `on_reconnect` is awaited after
    every connection, the first one too: between two connections anything may have been missed.
    """

    def __init__(
        self,
        settings: NatsSettings,
        instance: str,
        handler: Handler,
        on_reconnect: Reconnected,
        type: BotType = BotType.REALTIME,
    ) -> None:
        self.connected = False
        self._url = settings.url
        self._durable = f"the0-{instance}-{_DURABLE[type]}"
        self._subject = _SUBJECT[type]
        self._handler = handler
        self._on_reconnect = on_reconnect

    async def run(self) -> None:
        """Follow events until cancelled; without a NATS address there is nothing but to wait."""
        if not self._url:
            await asyncio.Event().wait()
        await stay_connected(self._url, "events", self._session)

    async def _session(self, client: Client) -> None:
        try:
            stream = client.jetstream(timeout=API_SEC)
            consumer = await self._bind(stream)
            if consumer is None:
                consumer = await self._follow_plain(client, stream)
            await self._announce()
            await self._follow_stream(consumer)
        finally:
            self.connected = False

    async def _announce(self) -> None:
        self.connected = True
        try:
            await self._on_reconnect()
        except The0Error as error:
            log.warning("after connecting to NATS: %s", error)

    # --- with the stream ---

    async def _bind(self, stream: JetStreamContext) -> JetStreamContext.PullSubscription | None:
        """The durable consumer, made if need be; None while there is no stream to read."""
        try:
            await self._ensure_consumer(stream)
            return await stream.pull_subscribe_bind(durable=self._durable, stream=STREAM)
        except (NotFoundError, ServiceUnavailableError, NatsTimeout):
            return None

    async def _ensure_consumer(self, stream: JetStreamContext) -> None:
        try:
            await stream.consumer_info(STREAM, self._durable)
        except NotFoundError:
            config = ConsumerConfig(
                durable_name=self._durable,
                deliver_policy=DeliverPolicy.NEW,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_WAIT_SEC,
                max_ack_pending=1,  # keeps the order, also when a message is sent again
                filter_subjects=[f"{self._subject}.{action}" for action in ACTIONS],
            )
            await stream.add_consumer(STREAM, config)

    async def _follow_stream(self, consumer: JetStreamContext.PullSubscription) -> None:
        while True:
            try:
                messages = await consumer.fetch(1, timeout=FETCH_SEC)
            except NatsTimeout:
                continue
            for message in messages:
                await self._answer(message)

    async def _answer(self, message: Msg) -> None:
        about = message.metadata
        more_time = asyncio.create_task(_ask_for_time(message), name="event in progress")
        try:
            verdict = await self._handle(message, about.timestamp, about.num_delivered or 1)
        finally:
            more_time.cancel()
        match verdict:
            case Verdict.DONE:
                await message.ack()
            case Verdict.LATER:
                await message.nak(delay=RETRY_SEC)
            case Verdict.HOPELESS:
                await message.term()

    # --- without it ---

    async def _follow_plain(
        self, client: Client, stream: JetStreamContext
    ) -> JetStreamContext.PullSubscription:
        """Follow plain messages until the stream appears; its consumer."""
        subscription = await client.subscribe(f"{self._subject}.*")
        await round_trip(client)
        await self._announce()
        while True:
            await self._handle_plain_for(subscription, STREAM_LOOK_SEC)
            consumer = await self._bind(stream)
            if consumer is not None:
                break
        while subscription.pending_msgs:  # sent before the consumer was there
            await self._handle_plain(await subscription.next_msg(timeout=API_SEC))
        await subscription.unsubscribe()
        return consumer

    async def _handle_plain_for(self, subscription: Subscription, duration: float) -> None:
        until = time.monotonic() + duration
        while (left := until - time.monotonic()) > 0:
            try:
                message = await subscription.next_msg(timeout=left)
            except NatsTimeout:
                return
            await self._handle_plain(message)

    async def _handle_plain(self, message: Msg) -> None:
        """Nobody sends it again, so it is tried here until it is stored."""
        attempt = 1
        while await self._handle(message, None, attempt) is Verdict.LATER:
            attempt += 1
            await asyncio.sleep(RETRY_SEC)

    # --- both ---

    async def _handle(self, message: Msg, at: datetime | None, attempt: int) -> Verdict:
        """Parse and handle; what is logged never holds any content of the message."""
        try:
            await self._handler(parse_event(message.subject, message.data, at))
        except InvalidInput as error:
            reason = "; ".join([str(error), *error.faults])
            log.warning("an event on %s is dropped: %s", message.subject, reason)
            return Verdict.HOPELESS
        except The0Error as error:
            log.warning("an event on %s waits: %s", message.subject, error)
            return Verdict.LATER
        except Exception as error:
            _log_unexpected(message.subject, error)
            return Verdict.LATER if attempt < UNEXPECTED_ATTEMPTS else Verdict.HOPELESS
        return Verdict.DONE


async def _ask_for_time(message: Msg) -> None:
    while True:
        await asyncio.sleep(ACK_WAIT_SEC / 3)
        await message.in_progress()


def _log_unexpected(subject: str, error: Exception) -> None:
    """Type and traceback without the error's message, which could quote the document."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("an event on %s failed: %s\n%s", subject, type(error).__name__, frames)
