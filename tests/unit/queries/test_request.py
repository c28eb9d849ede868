"""What of a caller's question reaches a bot, and in what form."""

from __future__ import annotations

import json
from http.client import parse_headers
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.errors import InvalidInput
from the0.queries.models import Query
from the0.queries.request import (
    MAX_PARAMS_BYTES,
    MAX_URL_BYTES,
    checked_path,
    http_request,
    make_query,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def sent(query: Query) -> tuple[str, dict[str, list[str]], dict[str, str], bytes]:
    """Path, parameters of the URL, headers and body, as a server reads the request."""
    line, _, rest = http_request(query, "172.20.0.5", 9476).partition(b"\r\n")
    stream = BytesIO(rest)
    headers = dict(parse_headers(stream).items())
    method, target, version = line.decode("ascii").split(" ")
    assert (method, version) == ("POST", "HTTP/1.1")
    path, _, url_params = target.partition("?")
    return path, parse_qs(url_params, keep_blank_values=True), headers, stream.read()


def test_parameters_are_in_the_url_and_in_the_body() -> None:
    params = {"symbol": "BTC/USD & Co", "limit": 5, "all": True, "none": None, "in": {"a": 2**70}}
    path, in_url, headers, body = sent(make_query("b", "/positions", params, None))
    assert path == "/positions"
    assert in_url == {
        "symbol": ["BTC/USD & Co"],
        "limit": ["5"],
        "all": ["true"],
        "none": ["null"],
        "in": ['{"a": 1180591620717411303424}'],
    }
    assert json.loads(body) == params
    assert headers == {
        "Host": "172.20.0.5:9476",
        "Accept": "application/json",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
    }


def test_a_list_is_given_repeatedly_and_no_parameters_are_no_body() -> None:
    _, in_url, _, body = sent(make_query("b", "x", {"a": ["1", 2, []]}, None))
    assert in_url == {"a": ["1", "2", "[]"]}
    assert json.loads(body) == {"a": ["1", 2, []]}
    path, in_url, headers, body = sent(make_query("b", "x", None, None))
    assert (path, in_url, headers["Content-Length"], body) == ("/x", {}, "0", b"")


def test_parameters_that_no_url_can_hold_are_in_the_body_alone() -> None:
    params = {"a": "x" * MAX_URL_BYTES}
    _, in_url, _, body = sent(make_query("b", "/x", params, None))
    assert (in_url, json.loads(body)) == ({}, params)


def test_too_large_parameters_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at most 98,304"):
        make_query("b", "/x", {"a": "x" * MAX_PARAMS_BYTES}, None)


def test_defaults() -> None:
    query = make_query("b", "status", None, None)
    assert query == Query("b", "/status", {}, 30.0)
    assert make_query("b", "/status", {}, 300).timeout_sec == 300.0


@pytest.mark.parametrize(
    ("given", "taken"),
    [(0, 30), (-1, 30), (-(10**400), 30), (0.5, 1), (1, 1), (301, 300), (10**400, 300)],
)
def test_a_time_out_of_bounds_is_brought_within_them(given: float, taken: float) -> None:
    assert make_query("b", "/x", None, given).timeout_sec == taken


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/x?", {}),
        ("/x?limit=5&symbol=BTC%2FUSD", {"limit": "5", "symbol": "BTC/USD"}),
        ("x?a=1&a=2&b=&c=?&d=%FF", {"a": ["1", "2"], "b": "", "c": "?", "d": "\ufffd"}),
    ],
)
def test_parameters_behind_the_path_are_parameters(path: str, params: dict[str, Any]) -> None:
    assert make_query("b", path, None, None) == Query("b", "/x", params)


def test_parameters_given_apart_win_over_those_behind_the_path() -> None:
    assert make_query("b", "/x?a=1&b=2", {"a": 3}, None).params == {"a": 3, "b": "2"}


@pytest.mark.parametrize("path", ["/", "/a", "/a/b/", "/a b", "/ä", "/a%20b", "/a;b=1", "/x..y"])
def test_paths_that_reach_the_bot_as_they_are(path: str) -> None:
    assert checked_path(path) == path
    written, *_ = sent(Query("b", path))
    assert unquote(written) == unquote(path)
    if path.isascii() and " " not in path:
        assert written == path


@pytest.mark.parametrize("path", ["", "//host/a", "/../a", "/a/./b", "..", "/" + "x" * 1024])
def test_paths_that_are_none_are_refused(path: str) -> None:
    with pytest.raises(InvalidInput, match="query_path"):
        checked_path(path)


@pytest.mark.parametrize(
    "path",
    ["/a?b=1", "/a#b", "/a\r\nHost: x", "/a\0", "a\\b", "/\ud800", "/a\u2028"],
)
def test_characters_that_no_path_has_are_refused(path: str) -> None:
    with pytest.raises(InvalidInput, match="query_path"):
        checked_path(path)


@given(path=st.text(), params=st.dictionaries(TEXT, VALUES, max_size=4))
def test_whatever_is_asked_is_one_request_or_refused(path: str, params: dict[str, Any]) -> None:
    try:
        query = make_query("b", path, params, None)
    except InvalidInput:
        return
    written, _, headers, body = sent(query)
    assert unquote(written) == unquote(query.path)
    assert set(headers) == {"Host", "Accept", "Content-Type", "Content-Length"}
    assert json.loads(body or b"{}") == query.params
    assert query.params.items() >= params.items()
