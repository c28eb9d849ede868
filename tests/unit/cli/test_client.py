"""Errors cross the wire as what they were; ids of any kind become one path segment."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.answers import answering
from the0.cli.bots import find_bot
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


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "nonsense", "", "http://", "http://a:b", f"http://{'a' * 70}", "http://\udcff"],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="no address of a control API"):
        ApiClient(url, "t")


@pytest.mark.parametrize("url", ["http://[", "http://a:99999"])
def test_an_address_that_leads_nowhere_is_told(url: str) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"), ApiClient(url, "t") as api:
        api.get("/bots")


@given(st.text(min_size=1))
def test_any_id_survives_its_way_through_a_path(text: str) -> None:
    encoded = segment(text)
    assert "/" not in encoded
    assert encoded not in (".", "..")
    assert path_text(encoded) == text


@pytest.mark.parametrize("token", ["SECRET", "SECRET\n", " SECRET ", "SECRET\r\n"])
def test_blanks_around_a_token_are_no_part_of_it(token: str) -> None:
    with answering([b"{}"]) as server, ApiClient(server.url, token) as api:
        api.get("/bots")
    assert server.tokens == ["Bearer SECRET"]


@pytest.mark.parametrize(
    "token", ["", " \n", "SEC\nRET", "S\u00c4CRET", "SECRET\udcff", "SE\0CRET"]
)
def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(InvalidInput, match="--token") as caught:
        ApiClient("http://127.0.0.1:1", token)
    assert "CRET" not in caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@127.0.0.1:1",
        "HTTP://user:hun@hunter2@127.0.0.1:1",
        "http://user:a/hunter2@127.0.0.1:1",
        "http://user:a hunter2@127.0.0.1:1",
        "http://user:hunter2\n@127.0.0.1:1",
        "user:hunter2@127.0.0.1:1",
        "ftp://user:hunter2@127.0.0.1:1",
    ],
)
def test_a_password_in_an_address_is_not_shown(url: str) -> None:
    with pytest.raises((InvalidInput, Unavailable)) as caught, ApiClient(url, "t") as api:
        api.get("/bots")
    assert "hunter2" not in caught.value.message
    assert "***@127.0.0.1:1" in caught.value.message


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
def test_a_server_whose_certificate_nobody_signed_gets_no_token(
    scheme: str, tmp_path: Path
) -> None:
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
    names = "-subj /CN=x -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem"
    subprocess.run([*make.split(), *names.split()], cwd=tmp_path, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with (
        answering([b"{}"], tls=tls) as server,
        ApiClient(f"{scheme}://127.0.0.1:{server.port}", "t") as api,
        pytest.raises(Unavailable, match="certificate"),
    ):
        api.get("/bots")
    assert server.tokens == []


@pytest.mark.parametrize("text", ["a\u2028b\u2029c\u0085d", "\x0b\x0c\x1c\x1d\x1e", "\r"])
def test_lines_end_at_line_feeds_and_nowhere_else(text: str) -> None:
    line = json.dumps({"message": text}, ensure_ascii=False)
    stored = f"{line}\n\n{line}\nno end".encode()
    chunks = [stored[at : at + 7] for at in range(0, len(stored), 7)]
    with answering(chunks) as server, ApiClient(server.url, "t") as api:
        assert list(api.lines("/bots/x/logs")) == [line, line, "no end"]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"message": "ok"}', {}),
        (b'{"message": "ok", "id": 7}', {}),
        (b"[]", {}),
        (b'"ok"', {}),
        (b"<html>", {}),
        (b"no gzip", {"Content-Encoding": "gzip"}),
    ],
)
def test_another_server_behind_the_address_is_told(body: bytes, headers: dict[str, str]) -> None:
    with (
        answering([body], headers=headers) as server,
        ApiClient(server.url, "t") as api,
        pytest.raises(Unavailable, match="no control API of the0"),
    ):
        find_bot(api, "x")


@pytest.mark.parametrize("faults", ["7", '{"a": 1}', "[[]]", "null"])
def test_an_error_of_another_server_is_told(faults: str) -> None:
    body = f'{{"error": {{"code": [], "message": {{}}, "faults": {faults}}}}}'
    for status in (400, 401, 404, 500):
        assert error_of(httpx.Response(status, text=body)).message


def test_an_id_that_is_no_text_goes_to_the_api_which_refuses_it() -> None:
    assert segment("a\udcff") == "a%FF"
    with pytest.raises(InvalidInput, match="UTF-8"):
        path_text(segment("a\udcff"))
