"""`POST /v1/logs`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from sanic import HTTPResponse, Request

from the0.errors import Unavailable
from the0.gateway.services import MIB, Services
from the0.gateway.transfer import read_small
from the0.http import json_response, parse_json
from the0.launches import Launch
from the0.storage.log_lines import LogBatch, LogRecord, parse_batch, raw_text

log = logging.getLogger("the0.gateway.logs")

MAX_BATCH_BYTES = MIB


class LogHandlers:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def post(self, request: Request, launch: Launch) -> HTTPResponse:
        loop = asyncio.get_running_loop()
        self._services.log_rate.check(launch.bot_id, loop.time())
        body = await read_small(request, MAX_BATCH_BYTES)
        self._services.log_rate.charge(launch.bot_id, len(body), loop.time())
        acked = await self._services.owned.finish(
            self._take(launch.bot_id, body), f"logs of {launch.bot_id}"
        )
        return json_response({"acked": acked})

    async def _take(self, bot_id: str, body: bytes) -> int:
        services = self._services
        acked, fresh = await services.disk.call(self._append, bot_id, body)
        services.metrics.log_posts.inc()
        services.metrics.log_lines.inc(len(fresh))
        if fresh:
            services.publisher.publish(bot_id, raw_text(fresh))
            services.uploader.note(bot_id)
        return acked

    def _append(self, bot_id: str, body: bytes) -> tuple[int, Sequence[LogRecord]]:
        batch: LogBatch = parse_batch(parse_json(body))
        try:
            bot = self._services.spool.bot(bot_id)
            fresh = bot.append(batch, datetime.now(UTC))
        except OSError as error:
            log.warning("the log of %s cannot be kept: %s", bot_id, error.strerror)
            raise Unavailable(f"the spool does not take the log: {error.strerror}") from error
        return bot.acked(batch.epoch), fresh
