"""Queries: served over HTTP and asked once, against the vectors; and what a bad client can do."""

import http.client
import json
import socket
import threading
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
        with sdk_server.QueryServer(0, answer) as server:
            servers.append(server)
            ready.set()
            server.serve_forever(poll_interval=0.01)

    monkeypatch.setattr(sdk_server, "serve", serve)
    monkeypatch.setenv("BOT_TYPE", "realtime")
    thread = threading.Thread(target=query.run)
    thread.start()
    assert ready.wait(10)
    yield servers[0].server_port
    servers[0].shutdown()
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


def test_queries_run_side_by_side_with_their_own_parameters(port: int) -> None:
    both = threading.Barrier(2, timeout=30)

    @query.handler("/meet")
    def meet(request: query.QueryRequest) -> Any:
        both.wait()
        return [request.get("who"), query.get_params()["who"]]

    answers: dict[str, Any] = {}

    def go(who: str) -> None:
        answers[who] = ask(port, "GET", f"/meet?who={who}")[1]["data"]

    threads = [threading.Thread(target=go, args=(who,)) for who in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {"a": ["a", "a"], "b": ["b", "b"]}


def test_requests_over_the_bound_wait_and_are_answered(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, most, lock = [], [], threading.Lock()
    release = threading.Event()

    @query.handler("/slow")
    def slow(_request: query.QueryRequest) -> Any:
        with lock:
            running.append(1)
            most.append(len(running))
            full = len(running) == sdk_server.MAX_REQUESTS
        if full:
            release.set()
        release.wait(30)
        with lock:
            running.pop()

    statuses = []
    threads = [
        threading.Thread(target=lambda: statuses.append(ask(port, "GET", "/slow")[0]))
        for _ in range(sdk_server.MAX_REQUESTS * 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * len(threads)
    assert max(most) == sdk_server.MAX_REQUESTS


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
