"""One declaration a route: it adds the handler, checks what comes in and makes the OpenAPI page."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sanic import HTTPResponse, Request

from the0.api.schemas import ERROR, NO_QUERY
from the0.api.validation import Schema, check, query_values
from the0.http import App, json_response, parse_json, path_text, printable

log = logging.getLogger("the0.api")

VARIABLE = re.compile(r"<(\w+)(:path)?>")


@dataclass(frozen=True)
class Call:
    """One request, parsed and checked: `path` and `query` by name, `body` the JSON value."""

    request: Request
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any = None


@dataclass(frozen=True)
class Answer:
    """A JSON value and its status."""

    value: Any
    status: int = 200


Handler = Callable[[Call], Awaitable[Answer | HTTPResponse | None]]


@dataclass(frozen=True)
class Route:
    """What one method on one path takes and gives.

    `path` has variables as `<name>`, and as `<name:path>` one that may hold slashes. `body` is the
    JSON Schema of the request, None where there is none, and may be left out where `body_required`
    is false; `query` an object schema of the query string; `answer` the schema of the answer with
    `status`, and with each status in `also`, which says what that one means. `refusals` says the
    same of errors, whose schema is `error`. `upload` is the
    media type of a body that the handler reads itself, piece by piece. A handler that answers
    None has sent its answer itself; `media` is that answer's type. A `public` route needs no
    token.
    """

    method: str
    path: str
    name: str
    summary: str
    handler: Handler
    answer: Schema
    status: int = 200
    also: Mapping[int, str] = field(default_factory=dict)
    refusals: Mapping[int, str] = field(default_factory=dict)
    error: Schema = field(default_factory=lambda: ERROR)
    body: Schema | None = None
    body_required: bool = True
    query: Schema = field(default_factory=lambda: NO_QUERY)
    upload: str | None = None
    media: str = "application/json"
    public: bool = False

    @property
    def variables(self) -> Sequence[str]:
        """The names of the path's variables, in order."""
        return [name for name, _ in VARIABLE.findall(self.path)]

    def add_to(self, app: App) -> None:
        """Serve this route from `app`."""

        async def handle(request: Request, **raw: str) -> HTTPResponse | None:
            answer = await self.handler(self._call(request, raw))
            if not isinstance(answer, Answer):
                return answer
            if self.method != "GET":
                # Neither the query nor the body: a configuration may hold secrets.
                log.info("%s %s: %d", self.method, printable(request.path), answer.status)
            return json_response(answer.value, answer.status)

        app.add_route(
            handle,
            VARIABLE.sub(lambda found: f"<{found[1]}{found[2] or ':str'}>", self.path),
            methods=[self.method],
            name=self.name,
            stream=self.upload is not None,
        )

    def _call(self, request: Request, raw: Mapping[str, str]) -> Call:
        path = {name: path_text(text) for name, text in raw.items()}
        query = query_values(self.query, dict(request.get_args(keep_blank_values=True)))
        if self.body is None:
            return Call(request, path, query)
        body = parse_json(request.body) if request.body or self.body_required else {}
        check(self.body, body, "The request")
        return Call(request, path, query, body)
