"""Errors cross the wire as what they were; ids of any kind become one path segment."""

from __future__ import annotations

import socket

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.cli.client import ApiClient, error_of, segment
from the0.errors import (
    Conflict,
    DeadlineExceeded,
    Forbidden,
    InvalidArchive,
    InvalidDocument,
    InvalidInput,
    NotFound,
    PluginError,
    The0Error,
    TooManyRequests,
    Unavailable,
)
from the0.http import error_body, path_text


@pytest.mark.parametrize(
    "error",
    [
        InvalidInput("wrong", ["a", "b"]),
        InvalidDocument("wrong", ["a"]),
        InvalidArchive("wrong"),
        NotFound("none"),
        Conflict("taken"),
        PluginError("missing"),
        Unavailable("down"),
        DeadlineExceeded("late"),
        TooManyRequests("often"),
        The0Error("broken"),
    ],
)
def test_an_error_keeps_its_exit_code_text_and_faults(error: The0Error) -> None:
    answer = httpx.Response(error.http_status, json=error_body(error))
    found = error_of(answer)
    assert (found.exit_code, found.message) == (error.exit_code, error.message)


def test_a_refused_token_says_how_to_give_another() -> None:
    answer = httpx.Response(401, json=error_body(Forbidden("no")))
    assert "--token" in error_of(answer).message


def test_something_else_behind_the_address_is_told() -> None:
    assert isinstance(error_of(httpx.Response(502, text="<html>")), Unavailable)


def test_an_api_that_is_not_there_says_how_to_start_it() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (
        ApiClient(f"http://127.0.0.1:{port}", "t") as api,
        pytest.raises(Unavailable, match="the0 local start"),
    ):
        api.get("/bots")


@pytest.mark.parametrize("url", ["ftp://x", "nonsense", "http://[", "http://a:99999"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises((InvalidInput, Unavailable)), ApiClient(url, "t") as api:
        api.get("/bots")


@given(st.text(min_size=1))
def test_any_id_survives_its_way_through_a_path(text: str) -> None:
    encoded = segment(text)
    assert "/" not in encoded
    assert encoded not in (".", "..")
    assert path_text(encoded) == text
