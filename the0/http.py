"""Sanic apps inside our own event loop, on our own sockets, with one shape of errors.

::

    app = new_app("gateway", authorize=check_token)
    app.add_route(handler, "/v1/launch")
    running = await start_app(app, unix_socket(path, 0o666, replace=True))
    ...
    await running.close(grace_sec=5)

Handlers raise :mod:`the0.errors`; a client sees
``{"error": {"code", "message", "faults"?}}`` with the error's own status. Anything else becomes a
500 with a reference whose traceback stands in the log alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote_to_bytes

from sanic import HTTPResponse, Request, Sanic
from sanic.config import Config
from sanic.constants import HTTP_METHODS
from sanic.exceptions import SanicException

from the0.errors import (
    DeadlineExceeded,
    InvalidInput,
    The0Error,
    TooManyRequests,
)
from the0.sockets import tcp_socket, unix_socket
from the0.text import parse_json, printable

__all__ = [
    "App",
    "Authorize",
    "RunningApp",
    "TooLarge",
    "discard_body",
    "error_body",
    "error_response",
    "json_response",
    "new_app",
    "parse_json",
    "path_text",
    "printable",
    "read_body",
    "start_app",
    "tcp_socket",
    "unix_socket",
]

log = logging.getLogger("the0.http")

App = Sanic[Config, SimpleNamespace]
Authorize = Callable[[Request], Awaitable[None]]
Reshape = Callable[[Request, dict[str, Any]], dict[str, Any]]

DEFAULT_BODY_BYTES = 1 << 20
RETRY_AFTER_SEC = 1
ERROR_HEADER = "X-The0-Error"
MOST_TOLD = 1000
"""Characters of a message that fit into a header."""

_numbers = itertools.count(1)
_starts = itertools.count()
_IDLE_CHECK_SEC = 0.05


def _is_ours(record: logging.LogRecord) -> bool:
    # On a terminal Sanic advises everybody to try its debug mode.
    return "PRODUCTION mode" not in str(record.msg)


logging.getLogger("sanic.error").addFilter(_is_ours)


class TooLarge(InvalidInput):
    """A body beyond its bound."""

    http_status = 413
    code = "too_large"


# --- apps ---------------------------------------------------------------------------------------


def new_app(
    name: str,
    *,
    authorize: Authorize | None = None,
    max_body_bytes: int = DEFAULT_BODY_BYTES,
    response_timeout_sec: float = 120.0,
    reshape: Reshape | None = None,
) -> App:
    """An app with our errors, bounds and, where given, `authorize` before any body is read.

    `authorize` raises an error of :mod:`the0.errors` to refuse. `max_body_bytes` bounds the body
    of each handler that does not stream (see :func:`read_body` for those that do).
    `response_timeout_sec` is the longest silence in either direction while a handler works.
    `reshape` makes of the body of an error what the callers of some path expect.
    """
    app = Sanic(f"{name}-{next(_numbers)}", configure_logging=False, env_prefix=None)
    app.config.update(
        {
            "ACCESS_LOG": False,
            "AUTO_EXTEND": False,
            "LOG_EXTRA": False,
            "MOTD": False,
            "REQUEST_MAX_SIZE": max_body_bytes,
            "RESPONSE_TIMEOUT": response_timeout_sec,
        }
    )

    async def before_body(request: Request, **_: Any) -> None:
        if authorize is not None:
            await authorize(request)

    # Request middleware would run only after the body was read. The signal is registered even
    # where nothing is checked: the first app started in a process decides which signals exist.
    app.signal("http.routing.after")(before_body)

    async def refuse(request: Request, error: Exception) -> HTTPResponse:
        return error_response(request, error, reshape)

    app.exception(Exception)(refuse)
    return app


class RunningApp:
    """An app that serves; made by :func:`start_app`."""

    def __init__(self, app: App, server: Any) -> None:
        self._app = app
        self._server = server

    async def close(self, grace_sec: float) -> None:
        """Stop listening, let requests under way end within `grace_sec`, then cut them off."""
        listener = self._server.server
        if listener is None:
            return
        self._server.server = None
        listener.close()
        await self._server.before_stop()
        await self._drain(grace_sec)
        for connection in list(self._server.connections):
            connection.abort()
        await listener.wait_closed()
        await self._server.after_stop()
        Sanic.unregister_app(self._app)

    async def _drain(self, grace_sec: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace_sec
        while self._server.connections:
            for connection in list(self._server.connections):
                connection.close_if_idle()
            if loop.time() >= deadline:
                return
            await asyncio.sleep(min(_IDLE_CHECK_SEC, max(0.0, deadline - loop.time())))


async def start_app(app: App, sock: socket.socket) -> RunningApp:
    """Serve `app` on a bound socket (see `tcp_socket`, `unix_socket`) in the running loop.

    The socket is closed with the app, or at once where the start fails.
    """
    try:
        return RunningApp(app, await _started(app, sock))
    except BaseException:
        sock.close()
        Sanic.unregister_app(app)
        raise


async def _started(app: App, sock: socket.socket) -> Any:
    # Sanic's speed-up rewrites classes that all apps share and fails when it is done twice.
    # Claimed before the first await, so that of two apps that start at once only one does it.
    app.config.TOUCHUP = next(_starts) == 0 and not getattr(Sanic, "__touched__", False)
    # Not serving yet: a connection accepted before the start-up would meet an app without routes.
    server: Any = await app.create_server(sock=sock, asyncio_server_kwargs={"start_serving": False})
    await server.startup()
    await server.before_start()
    await server.start_serving()
    await server.after_start()
    return server


# --- answers ------------------------------------------------------------------------------------


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> HTTPResponse:
    """A JSON answer; integers of any size stay exact."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return HTTPResponse(
        text.encode("utf-8", "backslashreplace"),
        status=status,
        headers=dict(headers or {}),
        content_type="application/json",
    )


def error_body(error: The0Error) -> dict[str, Any]:
    """`{"error": {"code", "message", "faults"?}}`."""
    body: dict[str, Any] = {"code": error.code, "message": str(error)}
    if isinstance(error, InvalidInput) and error.faults:
        body["faults"] = list(error.faults)
    return {"error": body}


def error_response(
    request: Request, error: Exception, reshape: Reshape | None = None
) -> HTTPResponse:
    """What a client sees of any error raised while its request was handled."""
    body, status, headers = _told(request, error)
    return json_response(reshape(request, body) if reshape else body, status, headers)


def _told(request: Request, error: Exception) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Body, status and headers."""
    if isinstance(error, The0Error):
        headers = _retry_after(error) | _error_header(request, error)
        return error_body(error), error.http_status, headers
    if isinstance(error, SanicException):
        return _sanic_told(request, error)
    reference = secrets.token_hex(4)
    log.error(
        "request failed (reference %s): %s %s",
        reference,
        printable(request.method),
        printable(request.path),
        exc_info=error,
    )
    message = f"Something went wrong inside the host; its log has the details under {reference}."
    return {"error": {"code": "internal", "message": message}}, 500, {}


def _error_header(request: Request, error: The0Error) -> dict[str, str]:
    """The body as a header too where the answer has none: who asked still learns why."""
    if request.method != "HEAD":
        return {}
    brief = {"code": error.code, "message": str(error)[:MOST_TOLD]}
    return {ERROR_HEADER: json.dumps({"error": brief})}


def _retry_after(error: The0Error) -> dict[str, str]:
    if isinstance(error, TooManyRequests):
        return {"Retry-After": str(max(1, round(error.retry_after)))}
    return {"Retry-After": str(RETRY_AFTER_SEC)} if error.retryable else {}


def _sanic_told(
    request: Request, error: SanicException
) -> tuple[dict[str, Any], int, dict[str, str]]:
    status = HTTPStatus(error.status_code or 500)
    code = status.phrase.lower().replace(" ", "_").replace("-", "_")
    headers = {str(name): str(value) for name, value in (error.headers or {}).items()}
    message = printable(str(error)) or status.phrase
    if status is HTTPStatus.NOT_FOUND:
        message = f"There is nothing at {printable(request.path)}."
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_allowed(request))
    return {"error": {"code": code, "message": message}}, status, headers


def _allowed(request: Request) -> Iterator[str]:
    """The methods that the path takes. Sanic tells them only where they are one route."""
    for method in HTTP_METHODS:
        with contextlib.suppress(SanicException):
            request.app.router.get(request.path, method, None)
            yield str(method)


# --- requests -----------------------------------------------------------------------------------


def path_text(raw: str) -> str:
    """A percent-encoded path segment as text; :class:`InvalidInput` where it is not UTF-8."""
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{printable(raw)!r} in the path is not percent-encoded UTF-8"
        ) from error


async def read_body(request: Request, max_bytes: int, max_sec: float) -> AsyncIterator[bytes]:
    """The chunks of a body, for handlers added with `stream=True`, which Sanic does not bound.

    Raises :class:`TooLarge` beyond `max_bytes` (at once, where the client announced it) and
    :class:`DeadlineExceeded` once the body has taken longer than `max_sec`.
    """
    announced = request.headers.get("content-length", "0")
    if announced.isascii() and announced.isdigit() and int(announced) > max_bytes:
        raise TooLarge(f"The body has {announced} bytes; at most {max_bytes} are taken.")
    received = 0
    deadline = asyncio.get_running_loop().time() + max_sec
    while request.stream is not None:
        stream: Any = request.stream
        try:
            async with asyncio.timeout_at(deadline):
                chunk = await stream.read()
        except TimeoutError as error:
            raise DeadlineExceeded(f"The body took longer than {max_sec:g} s.") from error
        if chunk is None:
            return
        received += len(chunk)
        if received > max_bytes:
            raise TooLarge(f"The body has more than the {max_bytes} bytes that are taken.")
        yield chunk


async def discard_body(request: Request, max_bytes: int, max_sec: float) -> None:
    """Read what still comes of a refused body, within bounds: a connection that is closed with
    data unread is reset, and the client would never see why it was refused."""
    left = max_bytes
    with contextlib.suppress(TimeoutError, SanicException):
        async with asyncio.timeout(max_sec):
            while left > 0 and request.stream is not None:
                stream: Any = request.stream
                chunk = await stream.read()
                if chunk is None:
                    return
                left -= len(chunk)
