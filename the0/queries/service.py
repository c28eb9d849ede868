"""QueryHandler: one question in, one answer out, whatever state the bot is in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from the0.errors import DeadlineExceeded
from the0.queries.ephemeral import EphemeralQueries, EphemeralSite
from the0.queries.http_client import Connections, NotListening, Peer
from the0.queries.metrics import Course, QueryMetrics
from the0.queries.models import Answer, Query
from the0.queries.reply import reply
from the0.queries.request import http_request
from the0.queries.resolver import QueryResolver
from the0.queries.turns import TurnLimits, Turns
from the0.settings import QuerySettings

PROXIED, EPHEMERAL = "proxied", "ephemeral"
KIB = 1 << 10


class QueryHandler:
    """Answers queries for one installation: a bot that runs is asked over HTTP, any other one in
    a container of the query's own."""

    def __init__(self, site: EphemeralSite) -> None:
        settings = site.settings
        self._resolver = QueryResolver(settings, site.plugins, site.repository)
        self._connections = Connections(settings.query.max_answer_kb * KIB)
        self._ephemeral = EphemeralQueries(site)
        self._turns = {
            PROXIED: Turns(_proxied_limits(settings.query)),
            EPHEMERAL: Turns(_ephemeral_limits(settings.query, settings.query_pool.at_once)),
        }
        self.metrics = QueryMetrics(self._turns)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve :meth:`answer` until `stop`."""
        try:
            await self._ephemeral.run(stop)
        finally:
            await self.close()

    async def close(self) -> None:
        """Close connections and what else is held."""
        self._connections.close()
        await self._resolver.close()

    def readiness(self) -> Mapping[str, str]:
        """Faults by name; empty ones where all is well."""
        return {"containers of queries": self._ephemeral.fault}

    def status(self) -> Mapping[str, Any]:
        """How many queries run and wait at the moment, by the way they take."""
        turns = self._turns.items()
        return {
            "queries": {way: {"running": one.running, "waiting": one.waiting} for way, one in turns}
        }

    async def answer(self, query: Query) -> bytes:
        """The body of a good answer: `{"status":"ok","data":…,"duration":<ns>,"timestamp":…}`.

        Raises NotFound (no such bot, no query entrypoint, no such path), QueryFailed,
        TooManyRequests, DeadlineExceeded, and Unavailable when a dependency is away or the bot
        cannot be asked now.
        """
        with self.metrics.measured() as course:
            deadline = asyncio.get_running_loop().time() + query.timeout_sec
            try:
                async with asyncio.timeout_at(deadline):
                    answer = await self._ask(query, deadline, course)
            except TimeoutError:
                raise DeadlineExceeded(
                    f"The query was not answered within {query.timeout_sec:g} s."
                ) from None
            return reply(answer, course.duration_ns, datetime.now(UTC))

    async def _ask(self, query: Query, deadline: float, course: Course) -> Answer:
        found = await self._resolver.find(query.bot_id)
        if found.peer is not None:
            course.way = PROXIED
            async with self._turns[PROXIED].turn(query.bot_id):
                answer = await self._ask_running(query)
            if answer is not None:
                return answer
        course.way = EPHEMERAL
        async with self._turns[EPHEMERAL].turn(query.bot_id):
            return await self._ephemeral.ask(found.bot, query, deadline)

    async def _ask_running(self, query: Query) -> Answer | None:
        """None when the bot does not run any more."""
        # Once more, because the wait for the turn may have been long.
        found = await self._resolver.find(query.bot_id)
        if found.peer is None:
            return None
        try:
            return await self._connections.ask(found.peer, _request(query, found.peer))
        except NotListening:
            again = await self._resolver.find(query.bot_id, asyncio.get_running_loop().time())
            if again.peer is None:
                return None
            if again.peer == found.peer:
                raise
            return await self._connections.ask(again.peer, _request(query, again.peer))


def _request(query: Query, peer: Peer) -> bytes:
    return http_request(query, peer.host, peer.port)


def _proxied_limits(settings: QuerySettings) -> TurnLimits:
    return TurnLimits(
        settings.at_once, settings.at_once_per_bot, settings.waiting, settings.waiting_per_bot
    )


def _ephemeral_limits(settings: QuerySettings, at_once: int) -> TurnLimits:
    """One bot gets no more than half of the containers."""
    return TurnLimits(at_once, max(1, at_once // 2), settings.waiting, settings.waiting_per_bot)
