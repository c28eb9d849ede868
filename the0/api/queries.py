"""Questions to bots: `/query`, as services have always asked, and the same below `/api/v1`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sanic import HTTPResponse, Request
from sanic.response import raw

from the0.api.routes import Call, Route
from the0.api.schemas import ANY_OBJECT, COUNT, TEXT, WHATEVER, JsonSchema, obj
from the0.queries.models import Query
from the0.queries.reply import rfc3339
from the0.queries.request import DEFAULT_SEC, MAX_SEC, MIN_SEC, make_query
from the0.queries.service import QueryHandler

QUERY = "/query"
JSON = "application/json"

_PARAMS: JsonSchema = {
    "type": ["object", "null"],
    "description": "What the bot's handler is given.",
}
_TIMEOUT: JsonSchema = {
    "type": ["number", "null"],
    "minimum": MIN_SEC,
    "maximum": MAX_SEC,
    "default": DEFAULT_SEC,
    "description": "Seconds within which the answer is there, or nothing of the query is left.",
}
# Others may send more than this: their fields mean nothing here.
_ASKED: JsonSchema = {
    "type": "object",
    "properties": {
        "bot_id": {**TEXT, "minLength": 1},
        "query_path": {
            **TEXT,
            "minLength": 1,
            "description": "The path of one of its handlers; a slash in front is added. What "
            "stands behind a ? is taken as parameters, which those of `params` override.",
        },
        "params": _PARAMS,
        "timeout_sec": {
            "type": ["number", "null"],
            "default": DEFAULT_SEC,
            "description": f"{_TIMEOUT['description']} From {MIN_SEC} to {MAX_SEC}: one beyond is "
            f"brought within, and 0 or less means {DEFAULT_SEC}.",
        },
    },
    "required": ["bot_id", "query_path"],
}
_ASKED_OF_ONE = obj({"params": _PARAMS, "timeout_sec": _TIMEOUT})
_IN_THE_URL: JsonSchema = {
    **ANY_OBJECT,
    "additionalProperties": {"type": ["string", "array"], "items": TEXT},
    "description": "What the bot's handler is given: texts, and lists of names given repeatedly.",
}
_STAMP: JsonSchema = {
    "duration": {**COUNT, "description": "Nanoseconds."},
    "timestamp": {**TEXT, "format": "date-time"},
}
_ANSWER: JsonSchema = {
    "type": "object",
    "properties": {
        "status": {"enum": ["ok"]},
        "data": {**WHATEVER, "description": "What the bot's handler gave."},
        **_STAMP,
    },
    "required": ["status", "duration", "timestamp"],
}
_ERROR: JsonSchema = {
    "type": "object",
    "properties": {"status": {"enum": ["error"]}, "error": TEXT, "code": TEXT, **_STAMP},
    "required": ["status", "error", "code", "duration", "timestamp"],
}
_REFUSALS: Mapping[int, str] = {
    404: "No such bot, or it has no query entrypoint, or no such path.",
    429: "Too many queries wait already; ask again after `Retry-After` seconds.",
    500: "The query failed in the bot's program.",
    503: "The bot cannot be asked now, or a dependency does not answer.",
    504: "No answer within `timeout_sec`.",
}


class Queries:
    """Handlers of `/query` and `/api/v1/bots/<id>/query/<path>`. `public` says that `/query` needs
    no token here."""

    def __init__(self, handler: QueryHandler, *, public: bool) -> None:
        self._handler = handler
        self._public = public

    def routes(self) -> list[Route]:
        path = "/api/v1/bots/<id>/query/<path:path>"
        text = "Ask a bot: one that runs itself, any other in a container of the query's own."
        return [
            Route(
                "POST",
                QUERY,
                "query",
                text,
                self.ask,
                _ANSWER,
                refusals=_REFUSALS,
                error=_ERROR,
                body=_ASKED,
                public=self._public,
            ),
            Route(
                "GET",
                path,
                "query_bot_by_url",
                f"{text} It has {DEFAULT_SEC} s.",
                self.ask_by_url,
                _ANSWER,
                refusals=_REFUSALS,
                query=_IN_THE_URL,
            ),
            Route(
                "POST",
                path,
                "query_bot",
                text,
                self.ask_one,
                _ANSWER,
                refusals=_REFUSALS,
                body=_ASKED_OF_ONE,
                body_required=False,
            ),
        ]

    async def ask(self, call: Call) -> HTTPResponse:
        call.request.ctx.begun_ns = time.perf_counter_ns()
        asked = call.body
        return await self._answer(
            make_query(
                asked["bot_id"],
                asked["query_path"],
                asked.get("params"),
                asked.get("timeout_sec"),
            )
        )

    async def ask_one(self, call: Call) -> HTTPResponse:
        asked = call.body
        path, params = f"/{call.path['path']}", asked.get("params")
        return await self._answer(
            make_query(call.path["id"], path, params, asked.get("timeout_sec"))
        )

    async def ask_by_url(self, call: Call) -> HTTPResponse:
        given = call.request.get_args(keep_blank_values=True)
        params = {name: texts if len(texts) > 1 else texts[0] for name, texts in given.items()}
        return await self._answer(
            make_query(call.path["id"], f"/{call.path['path']}", params, None)
        )

    async def _answer(self, query: Query) -> HTTPResponse:
        return raw(await self._handler.answer(query), content_type=JSON)


def error_of_query(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    """An error in the form that callers of `/query` know; others stay as they are."""
    if request.path.rstrip("/") != QUERY:
        return body
    error = body["error"]
    begun_ns = getattr(request.ctx, "begun_ns", None)
    return {
        "status": "error",
        "error": ": ".join([error["message"], *error.get("faults", ())]),
        "code": error["code"],
        "duration": time.perf_counter_ns() - begun_ns if begun_ns else 0,
        "timestamp": rfc3339(datetime.now(UTC)),
    }
