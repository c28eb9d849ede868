"""Real apps on real sockets: errors, bounds, authorization before the body, an orderly end."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from sanic import HTTPResponse, Request

from tests.support.http import serving
from the0.errors import Conflict, Forbidden, InvalidInput, TooManyRequests, Unavailable
from the0.http import (
    App,
    json_response,
    new_app,
    path_text,
    read_body,
    start_app,
    tcp_socket,
)


def raising(error: Exception) -> App:
    app = new_app("raising")

    async def handler(_: Request) -> HTTPResponse:
        raise error

    app.add_route(handler, "/")
    return app


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (Conflict("taken"), 409, {"code": "conflict", "message": "taken"}),
        (
            InvalidInput("two faults", ["a", "b"]),
            400,
            {"code": "invalid", "message": "two faults", "faults": ["a", "b"]},
        ),
    ],
)
async def test_our_errors_keep_their_status_and_text(
    error: Exception, status: int, body: dict[str, object]
) -> None:
    async with serving(raising(error)) as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.json()) == (status, {"error": body})


async def test_an_unknown_path_and_a_method_that_is_not_taken_are_named() -> None:
    app = new_app("named")

    async def handler(_: Request) -> HTTPResponse:
        return json_response({})

    app.add_route(handler, "/there")
    app.add_route(handler, "/each/<one>", methods=["GET"], name="get")
    app.add_route(handler, "/each/<one>", methods=["PUT"], name="put")
    async with serving(app) as client:
        unknown, wrong = await client.get("/"), await client.request("TRACE", "/there")
        several = await client.post("/each/a")
    expected = {"code": "not_found", "message": "There is nothing at /."}
    assert (unknown.status_code, unknown.json()) == (404, {"error": expected})
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET")
    assert (several.status_code, several.headers["allow"]) == (405, "GET, PUT")


@pytest.mark.parametrize(
    ("error", "seconds"), [(Unavailable("down"), "1"), (TooManyRequests("slow", 7), "7")]
)
async def test_errors_worth_a_second_try_say_when(error: Exception, seconds: str) -> None:
    async with serving(raising(error)) as client:
        answer = await client.get("/")
    assert answer.headers["retry-after"] == seconds


async def test_an_answer_without_a_body_says_why_in_a_header() -> None:
    app = new_app("looked-up")

    async def handler(_: Request) -> HTTPResponse:
        raise Unavailable("the störe\nis down")

    app.add_route(handler, "/", methods=["HEAD"])
    async with serving(app) as client:
        answer = await client.head("/")
    told = json.loads(answer.headers["x-the0-error"])
    expected = {"code": Unavailable("x").code, "message": "the störe\nis down"}
    assert (answer.status_code, told) == (503, {"error": expected})


async def test_a_bug_shows_a_reference_and_never_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR, logger="the0.http"):
        async with serving(raising(ValueError("secret-value"))) as client:
            answer = await client.get("/")
    assert answer.status_code == 500
    assert "secret-value" not in answer.text
    record = caplog.records[0]
    assert record.args is not None
    assert str(record.args[0]) in answer.json()["error"]["message"]
    assert record.exc_info is not None


async def test_unknown_paths_and_methods_have_the_same_shape() -> None:
    async with serving(raising(Conflict("x"))) as client:
        missing = await client.get("/nowhere")
        wrong = await client.put("/")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")
    assert "GET" in wrong.headers["allow"]


async def test_a_second_app_in_the_same_loop_is_checked_like_the_first() -> None:
    async def refuse(_: Request) -> None:
        raise Forbidden("no")

    async def handler(_: Request) -> HTTPResponse:
        return json_response({"reached": True})

    guarded = new_app("guarded", authorize=refuse)
    guarded.add_route(handler, "/")
    open_app = new_app("open")
    open_app.add_route(handler, "/")
    async with serving(open_app) as first, serving(guarded) as second:
        assert (await first.get("/")).json() == {"reached": True}
        assert (await second.get("/")).status_code == 401


async def test_a_refused_request_is_answered_before_its_body_is_read() -> None:
    async def refuse(_: Request) -> None:
        raise Forbidden("no")

    async def handler(_: Request) -> HTTPResponse:
        return json_response({})

    app = new_app("guarded", authorize=refuse)
    app.add_route(handler, "/", methods=["POST"])
    sock = tcp_socket("127.0.0.1", 0)
    running = await start_app(app, sock)
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
    status = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    await running.close(grace_sec=0)
    assert status.startswith(b"HTTP/1.1 401")


async def test_bodies_are_bounded_also_where_they_stream() -> None:
    app = new_app("bounded", max_body_bytes=10_000)
    seen: list[int] = []

    async def plain(request: Request) -> HTTPResponse:
        return json_response(len(request.body))

    async def streaming(request: Request) -> HTTPResponse:
        seen.clear()
        async for chunk in read_body(request, max_bytes=1000, max_sec=10):
            seen.append(len(chunk))
        return json_response(sum(seen))

    app.add_route(plain, "/plain", methods=["POST"])
    app.add_route(streaming, "/stream", methods=["POST"], stream=True)
    async with serving(app) as client:
        assert (await client.post("/plain", content=b"x" * 10_000)).json() == 10_000
        assert (await client.post("/plain", content=b"x" * 10_001)).status_code == 413
        assert (await client.post("/stream", content=b"x" * 1000)).json() == 1000
        announced = await client.post("/stream", content=b"x" * 1001)
        assert announced.status_code == 413
        assert announced.json()["error"]["code"] == "too_large"
        assert seen == []

        async def unannounced() -> AsyncIterator[bytes]:
            for _ in range(11):
                yield b"x" * 100

        assert (await client.post("/stream", content=unannounced())).status_code == 413


async def test_a_trickling_body_ends_at_its_deadline() -> None:
    app = new_app("trickle")

    async def streaming(request: Request) -> HTTPResponse:
        async for _ in read_body(request, max_bytes=1000, max_sec=0.2):
            pass
        return json_response({})

    app.add_route(streaming, "/", methods=["POST"], stream=True)
    sock = tcp_socket("127.0.0.1", 0)
    running = await start_app(app, sock)
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
    status = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    await running.close(grace_sec=0)
    assert status.startswith(b"HTTP/1.1 504")


async def test_close_lets_a_request_end_and_cuts_idle_connections() -> None:
    app = new_app("closing")
    entered = asyncio.Event()
    release = asyncio.Event()

    async def slow(_: Request) -> HTTPResponse:
        entered.set()
        await release.wait()
        return json_response("done")

    app.add_route(slow, "/")
    sock = tcp_socket("127.0.0.1", 0)
    host, port = sock.getsockname()
    running = await start_app(app, sock)
    idle_reader, idle_writer = await asyncio.open_connection(host, port)
    async with httpx.AsyncClient() as client:
        request = asyncio.create_task(client.get(f"http://{host}:{port}/"))
        await entered.wait()
        closing = asyncio.create_task(running.close(grace_sec=30))
        assert await asyncio.wait_for(idle_reader.read(), 10) == b""
        release.set()
        assert (await request).json() == "done"
    await asyncio.wait_for(closing, 10)
    idle_writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, port)


async def test_close_aborts_what_does_not_end_in_time() -> None:
    app = new_app("stuck")
    entered = asyncio.Event()

    async def stuck(_: Request) -> HTTPResponse:
        entered.set()
        await asyncio.Event().wait()
        return json_response({})

    app.add_route(stuck, "/")
    sock = tcp_socket("127.0.0.1", 0)
    running = await start_app(app, sock)
    async with httpx.AsyncClient() as client:
        request = asyncio.create_task(client.get(f"http://127.0.0.1:{sock.getsockname()[1]}/"))
        await entered.wait()
        await running.close(grace_sec=0)
        with pytest.raises(httpx.TransportError):
            await request


async def test_an_app_that_cannot_start_gives_its_socket_back() -> None:
    app = raising(Conflict("never reached"))

    async def fails(*_: object) -> None:
        raise Unavailable("not today")

    app.register_listener(fails, "before_server_start")
    sock = tcp_socket("127.0.0.1", 0)
    address = sock.getsockname()
    with pytest.raises(Unavailable, match="not today"):
        await start_app(app, sock)
    tcp_socket(*address).close()


def test_path_segments_are_decoded_strictly() -> None:
    assert path_text("a%2Fb%20%C3%A4") == "a/b ä"
    with pytest.raises(InvalidInput, match="UTF-8"):
        path_text("%ff")
