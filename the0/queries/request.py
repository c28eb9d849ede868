"""What a caller asks, checked, and the HTTP request that it becomes. Pure.

The path reaches the bot as it was given, whether in a request or in `QUERY_PATH`: query programs
compare it with the paths of their handlers and decode nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs, quote, urlencode

from the0.errors import InvalidInput
from the0.models import JSON
from the0.queries.models import Query

MIN_SEC, DEFAULT_SEC, MAX_SEC = 1, 30, 300
MAX_PATH = 1024
MAX_PARAMS_BYTES = 96 << 10
"""As JSON. The environment of a query in a container of its own holds 128 KiB a variable."""
MAX_URL_BYTES = 8 << 10
"""What every HTTP server takes; parameters beyond it are in the body alone."""

_NEVER_IN_A_PATH = frozenset("?#\\")
_PLAIN_IN_A_PATH = "/%:@!$&'()*+,;=~"


def make_query(
    bot_id: str, path: str, params: Mapping[str, JSON] | None, timeout_sec: float | None
) -> Query:
    """A query with its path checked and its defaults filled in.

    Parameters behind a ? of the path are taken too; those of `params` win. A time of 0 or less is
    none, and one out of bounds is brought within them. Raises InvalidInput for a path that no
    request can carry, or too large parameters.
    """
    path, _, behind = path.partition("?")
    given = {**_params_of(behind), **(params or {})}
    size = len(_json(given))
    if size > MAX_PARAMS_BYTES:
        raise InvalidInput(
            f"The parameters are {size:,} bytes of JSON; at most {MAX_PARAMS_BYTES:,} are taken."
        )
    return Query(bot_id, checked_path(path), given, _bounded(timeout_sec))


def _params_of(text: str) -> dict[str, JSON]:
    found = parse_qs(text, keep_blank_values=True)
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()}


def _bounded(timeout_sec: float | None) -> float:
    if timeout_sec is None or timeout_sec <= 0:
        return float(DEFAULT_SEC)
    return float(min(max(timeout_sec, MIN_SEC), MAX_SEC))


def checked_path(path: str) -> str:
    """`path` with the slash that it begins with. Raises InvalidInput saying what is wrong."""
    if not path:
        raise InvalidInput("query_path is empty: name one of the bot's queries, like /status.")
    full = path if path.startswith("/") else f"/{path}"
    if len(full) > MAX_PATH:
        raise InvalidInput(f"query_path is longer than {MAX_PATH} characters.")
    if not full.isprintable() or _NEVER_IN_A_PATH & set(full):
        raise InvalidInput(
            "query_path holds a character that no path can have: parameters belong into `params`, "
            "and ?, #, \\ and control characters nowhere."
        )
    if full.startswith("//") or {".", ".."} & set(full.split("/")):
        raise InvalidInput("query_path must not begin with // nor hold the steps . or ..")
    return full


def http_request(query: Query, host: str, port: int) -> bytes:
    """The whole request: parameters in the URL, which is all that SDKs before 0.4 read, and in a
    JSON body, which keeps their types. Nothing of the caller's own request is in it."""
    target = quote(query.path, safe=_PLAIN_IN_A_PATH)
    in_url = urlencode(list(_url_pairs(query.params)))
    if in_url and len(target) + len(in_url) < MAX_URL_BYTES:
        target = f"{target}?{in_url}"
    body = _json(query.params) if query.params else b""
    head = (
        f"POST {target} HTTP/1.1\r\n"
        f"Host: {host}:{port}\r\n"
        "Accept: application/json\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    # In one piece: a server that leaves the body unread resets the connection if it comes later.
    return head.encode("ascii") + body


def _url_pairs(params: Mapping[str, JSON]) -> Iterator[tuple[str, str]]:
    """A list is given as its name again and again; what is no text as JSON."""
    for name, value in params.items():
        for one in value if isinstance(value, list) else [value]:
            yield name, one if isinstance(one, str) else json.dumps(one, ensure_ascii=False)


def _json(params: Mapping[str, JSON]) -> bytes:
    return json.dumps(params, ensure_ascii=False, separators=(",", ":")).encode()
