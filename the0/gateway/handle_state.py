"""`GET`, `HEAD` and `PUT /v1/state`."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

from sanic import HTTPResponse, Request

from the0.errors import InvalidArchive, InvalidInput, NotFound, Unavailable
from the0.gateway.errors import ReadOnly
from the0.gateway.services import MIB, Services
from the0.gateway.state_writer import Snapshot, check_may_write
from the0.gateway.transfer import Content, receive, seconds_for, send
from the0.http import json_response
from the0.launches import Launch
from the0.storage import keys
from the0.storage.state import GENERATION, TREE, StoredState

UPLOADS_AT_ONCE = 16
TURN_SEC = 10.0
_ARCHIVE_OVERHEAD = 16 * MIB
_GENERATION = re.compile(r"[0-9a-f]{32}")
_BASE = re.compile(r"|[0-9a-f]{32}|etag:[!-~]{1,200}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class StateHandlers:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._turns = asyncio.Semaphore(UPLOADS_AT_ONCE)

    async def get(self, request: Request, launch: Launch) -> HTTPResponse | None:
        services = self._services
        if launch.kind == "query":
            with contextlib.suppress(InvalidArchive):  # it is too large for the cache
                return await self._get_copy(request, launch)
        found = await services.storage.call(services.states.open, launch.bot_id)
        if found is None:
            return HTTPResponse(status=204)
        state, reader = found
        content = Content(reader, state.size, "application/gzip", _headers(state))
        await send(request, content, services.storage)
        return None

    async def _get_copy(self, request: Request, launch: Launch) -> HTTPResponse | None:
        """From this host's disk when it is still what is stored: queries come often."""
        services, key = self._services, keys.state_key(launch.bot_id)
        try:
            copy, file = await services.state_copies.open(key, services.storage)
        except NotFound:
            return HTTPResponse(status=204)
        headers = {
            "X-The0-Generation": copy.metadata.get(GENERATION) or f"etag:{copy.etag}",
            "X-The0-Tree": copy.metadata.get(TREE, ""),
        }
        content = Content(file, copy.size, "application/gzip", headers)
        await send(request, content, services.disk)
        return None

    async def head(self, _request: Request, launch: Launch) -> HTTPResponse:
        services = self._services
        state = await services.storage.call(services.states.head, launch.bot_id)
        if state is None:
            return HTTPResponse(status=204)
        headers = {**_headers(state), "Content-Length": str(state.size)}
        return HTTPResponse(headers=headers, content_type="application/gzip")

    async def put(self, request: Request, launch: Launch) -> HTTPResponse:
        if not launch.writes_state:
            raise ReadOnly("this launch was made without the right to store state")
        check_may_write(launch)
        async with self._turn():
            snapshot = await self._receive(request, launch)
        services = self._services
        timeout_sec = services.storage.timeout_sec + seconds_for(snapshot.state.size)
        await services.owned.finish(
            services.state_writer.write(launch, snapshot, timeout_sec), f"state of {launch.bot_id}"
        )
        services.metrics.state_uploads.inc()
        services.metrics.state_bytes.inc(snapshot.state.size)
        return json_response({"generation": snapshot.state.generation})

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for one of the places, so that many stops at once do not fill disk and memory."""
        try:
            async with asyncio.timeout(TURN_SEC):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable(f"{UPLOADS_AT_ONCE} snapshots are being received already") from None
        try:
            yield
        finally:
            self._turns.release()

    async def _receive(self, request: Request, launch: Launch) -> Snapshot:
        generation = _header(request, "X-The0-Generation", _GENERATION)
        base = _header(request, "X-The0-Base", _BASE)
        tree = _header(request, "X-The0-Tree", _DIGEST)
        sha256 = _header(request, "X-The0-Sha256", _DIGEST)
        services = self._services
        body, size = await receive(
            request,
            services.settings.state_dir.root,
            services.settings.sync.max_state_mb * MIB + _ARCHIVE_OVERHEAD,
            sha256,
            services.disk,
        )
        return Snapshot(body, StoredState(generation, tree, size, launch.launch), base)


def _headers(state: StoredState) -> dict[str, str]:
    return {
        "X-The0-Generation": state.generation,
        "X-The0-Tree": state.tree,
    }


def _header(request: Request, name: str, form: re.Pattern[str]) -> str:
    value: str = request.headers.get(name, "")
    if not form.fullmatch(value):
        raise InvalidInput(f"the header {name} is missing or has a wrong form")
    return value
