"""Logs of one bot as NDJSON: the last lines, what comes next, or a day from storage."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable

from sanic import HTTPResponse, Request
from sanic.response import raw

from the0.api import schemas
from the0.api.parts import Parts
from the0.api.routes import Answer, Call, Route
from the0.errors import InvalidInput, NotFound, Unavailable
from the0.gateway.tail import Position, follow, position, read_tail
from the0.storage.keys import is_day
from the0.storage.log_spool import bot_directory, spooled_days
from the0.storage.logs import TAIL_BYTES, LogStore

log = logging.getLogger("the0.api")

NDJSON = "application/x-ndjson"
HEARTBEAT_SEC = 15.0
QUEUED_LINES = 1000


class Logs:
    """Handlers of `/api/v1/bots/<id>/logs`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._spool = parts.settings.state_dir.spool
        self._store = LogStore(parts.storage, parts.settings.storage.logs_bucket)

    def routes(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/api/v1/bots/<id>/logs",
                "bot_logs",
                "Lines as NDJSON objects with `timestamp`. While following, an empty line comes "
                "every 15 seconds of silence.",
                self.logs,
                schemas.TEXT,
                query=schemas.LOGS_QUERY,
                media=NDJSON,
            ),
            Route(
                "GET",
                "/api/v1/bots/<id>/logs/days",
                "bot_log_days",
                "The UTC days, YYYYMMDD, of which there is a log; oldest first.",
                self.days,
                schemas.LOG_DAYS,
            ),
        ]

    async def days(self, call: Call) -> Answer:
        bot_id = call.path["id"]
        spooled = await self._parts.work.call(spooled_days, bot_directory(self._spool, bot_id))
        stored = await self._parts.calls.call(self._store.days, bot_id)
        return Answer({"days": sorted({*spooled, *stored})})

    async def logs(self, call: Call) -> HTTPResponse | None:
        bot_id, lines, date = call.path["id"], call.query["lines"], call.query.get("date")
        if date is not None:
            if call.query["follow"]:
                raise InvalidInput("Only the newest lines can be followed: leave `date` away.")
            return _ndjson(await self._day(bot_id, date, lines))
        now = await self._parts.work.call(position, self._spool, bot_id)
        last = await self._last(bot_id, lines, now)
        if not last and not await self._parts.find_bot(bot_id):
            raise NotFound(f"There is no bot with the id {bot_id!r}, and no log of it.")
        if not call.query["follow"]:
            return _ndjson(last)
        await self._follow(call.request, bot_id, last, now)
        return None

    async def _last(self, bot_id: str, lines: int, until: Position) -> list[str]:
        parts, spool = self._parts, self._spool
        try:
            return await parts.calls.call(read_tail, spool, bot_id, lines, self._store, until)
        except Unavailable:
            # What this host wrote itself is there also while the store is not.
            return await parts.work.call(read_tail, spool, bot_id, lines, None, until)

    async def _day(self, bot_id: str, date: str, lines: int) -> list[str]:
        if not is_day(date):
            raise InvalidInput(f"{date!r} is no day: give `date` as YYYYMMDD.")
        tail = await self._parts.calls.call(self._store.tail, bot_id, date)
        if not tail:
            raise NotFound(f"There is no stored log of the bot {bot_id!r} of {date}.")
        return last_lines(tail, lines)

    async def _follow(
        self, request: Request, bot_id: str, last: Iterable[str], start: Position
    ) -> None:
        response = await request.respond(content_type=NDJSON)
        if response is None:
            return
        for line in last:
            await response.send(line + "\n")
        news = follow(self._spool, bot_id, start)
        async for line in with_heartbeat(news, HEARTBEAT_SEC, self._parts.closing):
            await response.send(line + "\n")


def last_lines(tail: bytes, lines: int) -> list[str]:
    """The last `lines` of the last 512 KiB of a day; a line that is cut in front is left out."""
    found = tail.decode("utf-8", "replace").split("\n")
    whole = [line for line in found[len(tail) >= TAIL_BYTES :] if line]
    return whole[max(0, len(whole) - lines) :]


async def with_heartbeat(
    source: AsyncIterator[str], every_sec: float, closing: asyncio.Event
) -> AsyncIterator[str]:
    """The lines of `source` until `closing` is set, and an empty one for each `every_sec` without
    any: sending it tells a caller that is still there from one that is gone."""
    queue: asyncio.Queue[str | None] = asyncio.Queue(QUEUED_LINES)

    async def pump() -> None:
        try:
            async for line in source:
                await queue.put(line)
        except OSError:
            log.exception("the log of a bot cannot be followed")
        await queue.put(None)

    async def close() -> None:
        await closing.wait()
        await queue.put(None)

    tasks = [asyncio.create_task(one(), name="log-follow") for one in (pump, close)]
    try:
        while (line := await _next(queue, every_sec)) is not None:
            yield line
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _next(queue: asyncio.Queue[str | None], within_sec: float) -> str | None:
    try:
        async with asyncio.timeout(within_sec):
            return await queue.get()
    except TimeoutError:
        return ""


def _ndjson(lines: Iterable[str]) -> HTTPResponse:
    return raw("".join(f"{line}\n" for line in lines), content_type=NDJSON)
