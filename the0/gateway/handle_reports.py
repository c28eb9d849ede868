"""`GET /v1/launch`, `POST /v1/status`, `PUT /v1/result`: what a container is told, and tells."""

from __future__ import annotations

from datetime import UTC, datetime

from sanic import HTTPResponse, Request

from the0.gateway.services import MIB, Services
from the0.gateway.transfer import read_small
from the0.http import json_response, parse_json
from the0.launches import Launch, LaunchStatus, parse_status

MAX_STATUS_BYTES = 64 * 1024
MAX_RESULT_BYTES = MIB


class ReportHandlers:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def get_launch(self, _request: Request, launch: Launch) -> HTTPResponse:
        return json_response(launch.document)

    async def post_status(self, request: Request, launch: Launch) -> HTTPResponse:
        body = await read_small(request, MAX_STATUS_BYTES)
        status = parse_status(parse_json(body), datetime.now(UTC))
        await self._services.owned.finish(
            self._keep_status(launch, status), f"status of {launch.bot_id}"
        )
        return json_response({})

    async def put_result(self, request: Request, launch: Launch) -> HTTPResponse:
        body = await read_small(request, MAX_RESULT_BYTES)
        await self._services.owned.finish(
            self._keep_result(launch, body), f"result of {launch.bot_id}"
        )
        return json_response({})

    async def _keep_status(self, launch: Launch, status: LaunchStatus) -> None:
        services = self._services
        await services.disk.call(services.launches.write_status, launch.launch, status)
        if status.phase == "ended":
            services.uploader.finish(launch.bot_id)

    async def _keep_result(self, launch: Launch, body: bytes) -> None:
        """Beside the launch for the runner; a query's also where other services look for it."""
        services = self._services
        await services.disk.call(services.launches.write_result, launch.launch, body)
        if launch.kind == "query":
            await services.storage.call(services.results.put, launch.bot_id, launch.launch, body)
