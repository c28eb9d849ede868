"""`GET /v1/code`."""

from __future__ import annotations

from sanic import Request

from the0.errors import NotFound
from the0.gateway.errors import NoCode
from the0.gateway.services import Services
from the0.gateway.transfer import Content, send
from the0.launches import Launch


class CodeHandlers:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def get(self, request: Request, launch: Launch) -> None:
        try:
            code, file = await self._services.code.open(launch.code_key, self._services.storage)
        except NotFound as error:
            raise NoCode(str(error)) from error
        content = Content(file, code.size, "application/zip", {"X-The0-Sha256": code.sha256})
        await send(request, content, self._services.disk)
