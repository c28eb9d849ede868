"""No start without a token where others can reach the API; no request without the right one."""

from __future__ import annotations

from pathlib import Path

import pytest
from sanic import HTTPResponse, Request

from tests.support.http import serving
from the0.api.token import api_token, bearer, is_loopback
from the0.errors import InvalidSettings
from the0.http import App, json_response, new_app
from the0.settings import ApiSettings


def test_the_first_start_makes_a_token_that_only_its_owner_reads(tmp_path: Path) -> None:
    file = tmp_path / "api.token"
    token = api_token(ApiSettings(), file)
    assert len(token) == 64
    assert file.stat().st_mode & 0o777 == 0o600
    assert api_token(ApiSettings(), file) == token


def test_a_token_file_that_others_could_read_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "api.token"
    file.write_text("abc\n")
    file.chmod(0o644)
    assert api_token(ApiSettings(), file) == "abc"
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"\n", b" \t\n", b"two\nlines", b"\xff\n"])
def test_a_token_file_without_a_token_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "api.token"
    file.write_bytes(content)
    with pytest.raises(InvalidSettings) as caught:
        api_token(ApiSettings(), file)
    assert f"{file} holds no token" in caught.value.faults[0]
    assert "lines" not in caught.value.message


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_an_address_that_others_reach_needs_a_token_of_the_settings(
    host: str, tmp_path: Path
) -> None:
    file = tmp_path / "api.token"
    with pytest.raises(InvalidSettings) as caught:
        api_token(ApiSettings(host=host), file)
    assert "api.token" in caught.value.faults[0]
    assert not file.exists()
    assert api_token(ApiSettings(host=host, token="given"), file) == "given"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_is_recognised(host: str) -> None:
    assert is_loopback(host)


def guarded(token: str) -> App:
    async def handler(_: Request) -> HTTPResponse:
        return json_response({})

    app = new_app("guarded", authorize=bearer(token, {"/health", "/query"}))
    app.add_route(handler, "/api/v1/bots", name="bots")
    app.add_route(handler, "/health", name="health")
    app.add_route(handler, "/query", methods=["POST"], name="query")
    return app


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("Bearer wrong", 401),
        ("Bearer secretX", 401),
        ("Basic secret", 401),
        ("Bearer s\u00e4cret", 401),
        ("Bearer secret", 200),
        ("bearer secret", 200),
    ],
)
async def test_only_the_right_token_is_let_in(header: str | None, status: int) -> None:
    async with serving(guarded("secret")) as client:
        headers = {} if header is None else {b"Authorization": header.encode()}
        assert (await client.get("/api/v1/bots", headers=headers)).status_code == status
        assert (await client.get("/health", headers=headers)).status_code == 200


async def test_no_token_is_never_the_right_one() -> None:
    async with serving(guarded("")) as client:
        answer = await client.get("/api/v1/bots", headers={"Authorization": "Bearer"})
    assert answer.status_code == 401


@pytest.mark.parametrize("origin", ["https://example.org", "http://127.0.0.1:9477", "null", ""])
async def test_a_web_page_needs_the_token_where_programs_need_none(origin: str) -> None:
    page = {"Origin": origin, "Content-Type": "text/plain"}
    async with serving(guarded("secret")) as client:
        assert (await client.post("/query")).status_code == 200
        assert (await client.post("/query", headers=page)).status_code == 401
        known = {**page, "Authorization": "Bearer secret"}
        assert (await client.post("/query", headers=known)).status_code == 200
        assert (await client.get("/health", headers=page)).status_code == 200
