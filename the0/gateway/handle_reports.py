"""`GET /v1/launch`, `POST /v1/status`, `PUT /v1/result`: what a container is told, and tells."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from sanic import HTTPResponse, Request

from the0.errors import The0Error
from the0.gateway.errors import UnknownLaunch
from the0.gateway.services import MIB, Services
from the0.gateway.transfer import read_small
from the0.http import json_response, parse_json
from the0.launches import Launch, LaunchStatus, launch_file, parse_status

log = logging.getLogger("the0.gateway.reports")

MAX_STATUS_BYTES = 64 * 1024
MAX_RESULT_BYTES = MIB
WAIT_SEC = 20.0
"""The longest wait for a job; the agent's patience with one answer is 30 s."""
_LOOK_AGAIN_SEC = 1.0


class ReportHandlers:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def get_launch(self, request: Request, launch: Launch) -> HTTPResponse:
        if launch.is_waiting and request.args.get("wait"):
            launch = await self._wait_for_job(launch)
        return HTTPResponse(status=204) if launch.is_waiting else json_response(launch.document)

    async def _wait_for_job(self, launch: Launch) -> Launch:
        """The launch once it has its job, or as it is after a while."""
        services, loop = self._services, asyncio.get_running_loop()
        until = loop.time() + WAIT_SEC
        with services.launch_watch.of(launch_file(launch.launch)) as change:
            while (left := until - loop.time()) > 0 and not services.launch_watch.closed:
                found = services.launches.read(launch.launch)
                if found is None:
                    raise UnknownLaunch("the launch was taken back; the container may be removed")
                if not found.is_waiting:
                    return found
                await change.wait(min(left, _LOOK_AGAIN_SEC))
        return launch

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
        """Beside the launch for the host; a query's also where other services look for it, for
        which the caller does not wait."""
        services = self._services
        await services.disk.call(services.launches.write_result, launch.launch, body)
        if launch.kind == "query":
            services.owned.begin(
                self._publish_result(launch, body), f"result for services of {launch.bot_id}"
            )

    async def _publish_result(self, launch: Launch, body: bytes) -> None:
        """In the store until it was read: whoever reads it removes first the launch, then it."""
        services, names = self._services, (launch.bot_id, launch.launch)
        try:
            await services.storage.call(services.results.put, *names, body)
            if services.launches.read(launch.launch) is None:
                await services.storage.call(services.results.remove, *names)
        except The0Error as error:
            log.warning("a result of %r is not in the store: %s", launch.bot_id, error)
