"""Queries: served over HTTP and asked once, against the vectors; and what a bad client can do."""

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from the0 import query, state
from the0.sdk import query as sdk_query
from the0.sdk import server as sdk_server
from the0.sdk import state as sdk_state

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/sdk.json").read_text())["query"]


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The handlers of the vectors, in a registry of this test's own."""
    monkeypatch.setattr(sdk_query, "_handlers", {})
    monkeypatch.setattr(sdk_query, "_config", {})
    monkeypatch.setattr(sdk_query, "_params", {})
    monkeypatch.setattr(sdk_query, "RESULT_PATH", str(tmp_path / "query/result.json"))
    monkeypatch.setattr(sdk_state, "_served", False)
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("BOT_CONFIG", json.dumps(VECTORS["config"]))
    for name in ("QUERY_PATH", "QUERY_PARAMS", "BOT_TYPE"):
        monkeypatch.delenv(name, raising=False)

    @query.handler("/echo")
    def echo(_request: query.QueryRequest) -> Any:
        return query.get_params()

    @query.handler("/config")
    def config(_request: query.QueryRequest) -> Any:
        return query.get_config()

    @query.handler("/fail")
    def fail(_request: query.QueryRequest) -> Any:
        raise RuntimeError("broken")

    @query.handler("/write")
    def write(_request: query.QueryRequest) -> Any:
        state.set("x", 1)


@pytest.fixture
def port(handlers: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a server that `run` started."""
    servers: list[sdk_server.QueryServer] = []
    ready = threading.Event()

    def serve(_port: int, answer: sdk_server.AnswerFunction) -> None:
        with sdk_server.QueryServer(0) as server:
            servers.append(server)
            accepting = threading.Thread(target=server.serve_forever, args=(0.01,))
            accepting.start()
            ready.set()
            server.answer_here(answer)
            server.shutdown()
            accepting.join()

    monkeypatch.setattr(sdk_server, "serve", serve)
    monkeypatch.setenv("BOT_TYPE", "realtime")
    thread = threading.Thread(target=query.run)
    thread.start()
    assert ready.wait(10)
    yield servers[0].server_port
    servers[0].questions.put(None)
    thread.join()


def ask(port: int, method: str, target: str, body: str | None = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, target, body)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@pytest.mark.parametrize("case", VECTORS["served"], ids=lambda case: case["target"])
def test_served(port: int, case: dict) -> None:
    answer = ask(port, case["method"], case["target"], case.get("body"))
    assert answer == (case["status"], case["answer"])


def test_parameters_of_url_and_body_come_together_and_the_body_wins(port: int) -> None:
    _, answer = ask(port, "POST", "/echo?a=1&b=2", '{"a": 1}')
    assert answer["data"] == {"a": 1, "b": "2"}


def test_a_path_may_hold_any_character(port: int) -> None:
    query.handler("/net worth/\u00e4%")(lambda _: "heard")
    assert ask(port, "GET", "/net%20worth/%C3%A4%25")[1] == {"status": "ok", "data": "heard"}


def test_state_cannot_be_written_while_serving(port: int) -> None:
    status, answer = ask(port, "GET", "/write")
    assert (status, answer["status"]) == (500, "error")
    assert "may only read" in answer["error"]


def test_what_a_handler_does_to_the_process_is_an_answer(port: int) -> None:
    query.handler("/exit")(lambda _: exit_now())
    query.handler("/odd")(lambda _: {1, 2})
    assert ask(port, "GET", "/exit")[0] == 500
    assert ask(port, "GET", "/odd")[0] == 500
    assert ask(port, "GET", "/health")[0] == 200


def exit_now() -> None:
    raise SystemExit(3)


def test_a_large_body_is_refused(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        length = sdk_server.MAX_BODY_BYTES + 1
        client.sendall(f"POST /echo HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode())
        assert client.recv(4096).startswith(b"HTTP/1.0 413")


def test_handlers_run_one_at_a_time_with_their_own_parameters(port: int) -> None:
    running: list[int] = []

    @query.handler("/slow")
    def slow(request: query.QueryRequest) -> Any:
        running.append(1)
        time.sleep(0.005)
        most = len(running)
        running.pop()
        return [most, request.get("who"), query.get_params()["who"]]

    answers: list[Any] = []

    def go(who: str) -> None:
        answers.append((who, ask(port, "GET", f"/slow?who={who}")[1]["data"]))

    many = [str(number) for number in range(sdk_server.MAX_REQUESTS * 2)]
    threads = [threading.Thread(target=go, args=(who,)) for who in many]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == sorted((who, [1, who, who]) for who in many)


def test_a_slow_client_holds_up_nobody(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(b"POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\n")
        assert ask(port, "GET", "/echo")[0] == 200
        slow.sendall(b'{"a": 1 }')
        with slow.makefile("rb") as answer:
            assert answer.readline().startswith(b"HTTP/1.0 200")


def test_what_nobody_waits_for_any_more_is_not_answered(port: int) -> None:
    entered, release, asked = threading.Event(), threading.Event(), []

    @query.handler("/slow")
    def slow(request: query.QueryRequest) -> Any:
        asked.append(request.get("who"))
        entered.set()
        release.wait(30)

    first = threading.Thread(target=ask, args=(port, "GET", "/slow?who=first"))
    first.start()
    assert entered.wait(30)
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /slow?who=gone HTTP/1.1\r\n\r\n")
    release.set()
    first.join()
    assert ask(port, "GET", "/slow?who=last")[0] == 200
    assert asked == ["first", "last"]


MAIN_THREAD_PROGRAM = """
import asyncio, json, os, signal, sqlite3, sys, threading, urllib.request
from concurrent.futures import ThreadPoolExecutor
from the0 import query

def started(text):
    threading.Thread(target=client, args=(text,)).start()

sys.modules["the0.sdk.output"].log = started
database = sqlite3.connect(":memory:")
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
pool = ThreadPoolExecutor(1)
PATHS = ("/database", "/loop", "/signal", "/params?a=1")

query.handler("/database")(lambda _: database.execute("select 1").fetchone()[0])
query.handler("/loop")(lambda _: asyncio.get_event_loop().run_until_complete(asyncio.sleep(0, 1)))
query.handler("/signal")(lambda _: signal.signal(signal.SIGALRM, lambda *_: None) and 1 or 1)
query.handler("/params")(lambda _: int(pool.submit(query.get_params).result()["a"]))

def client(text):
    url = f"http://127.0.0.1:{text.split()[-1]}"
    print([json.load(urllib.request.urlopen(url + path))["data"] for path in PATHS], flush=True)
    os._exit(0)

query.run()
"""


def test_handlers_have_the_main_thread() -> None:
    """What bots that were written with the public SDK count on."""
    ran = subprocess.run(
        [sys.executable, "-c", MAIN_THREAD_PROGRAM],
        env={"BOT_TYPE": "realtime", "THE0_QUERY_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout == "[1, 1, 1, 1]\n", ran.stderr


@pytest.mark.parametrize("case", VECTORS["once"], ids=lambda case: str(case["path"]))
def test_once(handlers: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: dict) -> None:
    monkeypatch.setenv("QUERY_PATH", case["path"])
    monkeypatch.setenv("QUERY_PARAMS", case["params"])
    assert run_once() == case["exit"]
    assert json.loads((tmp_path / "query/result.json").read_text()) == case["result"]


def run_once() -> Any:
    try:
        query.run()
    except SystemExit as end:
        return end.code
    return 0


def test_without_a_path_a_scheduled_bot_tells_what_can_be_asked(
    handlers: None, tmp_path: Path
) -> None:
    query.run()
    answer = json.loads((tmp_path / "query/result.json").read_text())
    assert "/echo" in answer["data"]["available_queries"]


def test_an_answer_that_is_not_json_is_a_clean_error(
    handlers: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    query.handler("/odd")(lambda _: {1, 2})
    monkeypatch.setenv("QUERY_PATH", "/odd")
    assert run_once() == 1
    answer = json.loads((tmp_path / "query/result.json").read_text())
    assert (answer["status"], "set" in answer["error"]) == ("error", True)


def test_a_result_that_cannot_be_written_is_an_error(
    handlers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sdk_query, "RESULT_PATH", "/proc/nowhere/result.json")
    monkeypatch.setenv("QUERY_PATH", "/health")
    assert "RESULT_ERROR" in run_once()


def test_query_mode_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUERY_PATH", raising=False)
    assert not query.is_query_mode()
    monkeypatch.setenv("QUERY_PATH", "/x")
    assert query.is_query_mode()
    assert query.ReadOnlyStateError is state.ReadOnlyStateError
    assert repr(query.QueryRequest("/x", {"a": 1})) == "QueryRequest(path='/x', params={'a': 1})"
