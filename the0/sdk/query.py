"""Answers to questions about a bot: functions by path, served or asked once.

::

    from the0 import query, state

    @query.handler("/positions")
    def positions(request):
        return state.get("positions", [])

    query.run()

With ``QUERY_PATH`` set, :func:`run` answers that path into ``/query/result.json`` and returns (or
ends the process with code 1). For a realtime bot it serves HTTP on ``THE0_QUERY_PORT`` for ever.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from the0.sdk import state
from the0.sdk.files import write_whole

RESULT_PATH = "/query/result.json"

_handlers: dict[str, Callable[[QueryRequest], Any]] = {}
_params: dict[str, Any] = {}
_config: dict[str, Any] = {}


class QueryRequest:
    """What a handler is given: the path asked for and its parameters (from a URL all strings)."""

    def __init__(self, path: str, params: dict[str, Any]) -> None:
        self.path = path
        self.params = params

    def __repr__(self) -> str:
        return f"QueryRequest(path={self.path!r}, params={self.params!r})"

    def get(self, key: str, default: Any = None) -> Any:
        """One parameter, or `default`."""
        return self.params.get(key, default)


class Answer(NamedTuple):
    """An HTTP status and the body, JSON text."""

    status: int
    body: str

    @property
    def ok(self) -> bool:
        return self.status == 200


Handler = TypeVar("Handler", bound=Callable[[QueryRequest], Any])


def handler(path: str) -> Callable[[Handler], Handler]:
    """Decorator: the function answers `path`. What it returns must be JSON."""

    def register(function: Handler) -> Handler:
        _handlers[path] = function
        return function

    return register


def get_params() -> dict[str, Any]:
    """The parameters of the query being answered (a copy), in whichever thread."""
    return dict(_params)


def get_config() -> dict[str, Any]:
    """The bot's configuration (a copy); empty before :func:`run`."""
    return dict(_config)


def is_query_mode() -> bool:
    """Whether this process was started to answer one query."""
    return "QUERY_PATH" in os.environ


def run() -> None:
    """Answer queries, in the way that the environment asks for (see above)."""
    _load_config()
    _handlers.setdefault("/health", lambda _: {"status": "ok"})
    _handlers.setdefault("/info", lambda _: {"available_queries": list(_handlers)})
    path = os.environ.get("QUERY_PATH")
    if path or os.environ.get("BOT_TYPE") != "realtime":
        _answer_once(path or "/info")
        return
    state.serve_read_only()
    # Only here: a bot that imports the SDK must not pay for an HTTP server.
    from the0.sdk.server import serve  # noqa: PLC0415

    serve(int(os.environ.get("THE0_QUERY_PORT", "9476")), answer)


def answer(path: str, params: dict[str, Any]) -> Answer:
    """Call the handler of `path`. Whatever it does becomes an answer: 200, 404 or 500."""
    function = _handlers.get(path)
    if function is None:
        missing = {"error": f"No handler for path: {path}", "available": list(_handlers)}
        return Answer(404, json.dumps({"status": "error", **missing}))
    _params.clear()
    _params.update(params)
    try:
        data = function(QueryRequest(path, params))
        return Answer(200, json.dumps({"status": "ok", "data": data}))
    except SystemExit as end:
        return _failure(f"the handler of {path} ended the process with {end.code!r}")
    except Exception as error:
        _log_traceback()
        return _failure(str(error))


def _log_traceback() -> None:
    import traceback  # noqa: PLC0415 - slow to import, and seldom needed

    sys.stderr.write(traceback.format_exc())


def _failure(text: str) -> Answer:
    return Answer(500, json.dumps({"status": "error", "error": text}))


def _answer_once(path: str) -> None:
    given = answer(path, _object(os.environ.get("QUERY_PARAMS", "{}")))
    try:
        os.makedirs(os.path.dirname(RESULT_PATH), exist_ok=True)
        write_whole(RESULT_PATH, given.body)
    except OSError as error:
        sys.exit(f"RESULT_ERROR: {RESULT_PATH} could not be written: {error}")
    if not given.ok:
        sys.exit(1)


def _load_config() -> None:
    _config.clear()
    _config.update(_object(os.environ.get("BOT_CONFIG", "{}")))


def _object(text: str) -> dict[str, Any]:
    """A JSON object, or an empty one for anything else."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
