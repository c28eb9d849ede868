"""`POST /query` and queries below `/api/v1`, against bots in real containers: every status by its
cause, the public SDKs, and bots whose query servers do what they should not."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.query_host import BIG, QueryHost, query_host
from tests.support.query_programs import GOOD, HOSTILE
from tests.support.runner import Services, eventually

LIMITS = {
    "THE0_QUERY__AT_ONCE_PER_BOT": "4",
    "THE0_QUERY__WAITING_PER_BOT": "2",
    "THE0_QUERY__MAX_ANSWER_KB": "512",
}


@pytest.fixture(scope="module")
def host(services: Services, runtime_image: str) -> Iterator[QueryHost]:
    with query_host(services, runtime_image, LIMITS) as found:
        found.bot("good", GOOD)
        found.bot("hostile", HOSTILE)
        found.bot("stopped", GOOD, enabled=False)
        found.schedule("scheduled", GOOD)
        yield found


# --- the contract -------------------------------------------------------------------------------


@pytest.mark.parametrize("bot_id", ["good", "stopped", "scheduled"])
def test_a_bot_answers_whether_it_runs_or_not(host: QueryHost, bot_id: str) -> None:
    params = {"symbol": "BTC/USD & Co", "limit": 5, "in": [1, "x"], "exact": BIG}
    begun = time.time()
    answer = host.ask(bot_id, "all", params=params)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["data"]["params"] == params
    assert told["data"]["config"]["big"] == BIG
    assert told["data"]["huge"] == 2**100
    assert 0 < told["duration"] < (time.time() - begun) * 1e9
    assert told["timestamp"].endswith("Z")
    status, why = host.told(bot_id, "/broken")
    assert (status, why) == (500, "no \\x1b[31mmarket")
    status, why = host.told(bot_id, "/nope")
    assert status == 404
    assert "No handler for path: /nope" in why


def test_a_path_reaches_a_query_program_as_it_is(host: QueryHost) -> None:
    assert host.told("scheduled", "a b/ä") == (200, "/a b/ä")


def test_what_is_wrong_with_a_request_is_told(host: QueryHost) -> None:
    def refused(body: Any, status: int, text: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = host.http.post("/query", content=content)
        told = answer.json()
        assert (answer.status_code, told["status"]) == (status, "error")
        assert text in told["error"], told

    good = {"bot_id": "good", "query_path": "/all"}
    refused(b"", 400, "not usable JSON")
    refused(b"{", 400, "not usable JSON")
    refused([], 400, "must be object")
    refused({"query_path": "/x"}, 400, "bot_id: is required")
    refused({"bot_id": "good"}, 400, "query_path: is required")
    refused({**good, "query_path": ""}, 400, "query_path")
    refused({**good, "query_path": "/../x"}, 400, "query_path")
    refused({**good, "query_path": "/x\r\nHost: y"}, 400, "query_path")
    refused({**good, "params": [1]}, 400, "params")
    for timeout_sec in ("30", True):
        refused({**good, "timeout_sec": timeout_sec}, 400, "timeout_sec")
    refused({**good, "params": {"a": "x" * 99_000}}, 400, "at most 98,304")
    refused(b"[" * (2 << 20), 413, "")
    refused({**good, "bot_id": "nobody"}, 404, "no bot with the id 'nobody'")
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        answer = host.http.request(method, "/query")
        assert (answer.status_code, answer.json()["status"]) == (405, "error")
    assert host.http.get("/health").json() == {"status": "ok"}
    # What callers of other implementations may send, too.
    more = {**good, "params": None, "timeout_sec": None, "user": "x"}
    assert host.http.post("/query", json=more).status_code == 200
    for timeout_sec in (0, -1, 0.5, 301):
        assert host.ask("good", "/all?a=1", timeout_sec=timeout_sec).status_code == 200


def test_a_bot_without_a_query_entrypoint_is_a_404(host: QueryHost) -> None:
    host.site.put("mute")
    host.site.put("mute-and-off", enabled=False)
    for bot_id in ("mute", "mute-and-off"):
        status, why = host.told(bot_id, "/x")
        assert (status, "no query entrypoint" in why) == (404, True)


def test_the_deadline_is_the_callers(host: QueryHost) -> None:
    for bot_id, path, params in (
        ("good", "/slow", {"sec": 4}),
        ("hostile", "/hang", {}),
        ("scheduled", "/slow", {"sec": 30}),
    ):
        begun = time.monotonic()
        status, why = host.told(bot_id, path, params=params, timeout_sec=1.5)
        assert (status, why) == (504, "The query was not answered within 1.5 s.")
        assert 1.5 <= time.monotonic() - begun < 7.5
    host.nothing_left()
    assert host.told("good", "/slow", params={"sec": 2}, timeout_sec=30) == (200, "late")


def test_without_mongodb_it_is_unknown_whether_there_is_such_a_bot(host: QueryHost) -> None:
    host.site.services.mongo.freeze()
    try:
        for bot_id in ("good", "nobody"):
            answer = host.ask(bot_id, "/all")
            assert answer.status_code == 503, answer.text
            assert answer.headers["Retry-After"] == "1"
    finally:
        host.site.services.mongo.thaw()
    assert host.told("good", "/broken")[0] == 500


def test_below_api_v1_with_a_token(host: QueryHost) -> None:
    base = "/api/v1/bots/good/query"
    assert host.http.get(f"{base}/all").status_code == 401
    found = host.http.get(f"{base}/all?a=1&a=2&b=x%20y&timeout_sec=7", headers=host.token).json()
    assert found["status"] == "ok"
    assert found["data"]["params"] == {"a": ["1", "2"], "b": "x y", "timeout_sec": "7"}
    assert host.http.post(f"{base}/all", headers=host.token).json()["data"]["params"] == {}
    body = {"params": {"n": BIG}, "timeout_sec": 20}
    asked = host.http.post(f"{base}/all", headers=host.token, json=body).json()
    assert asked["data"]["params"] == {"n": BIG}
    for path, body, status, code in (
        ("nope", {}, 404, "not_found"),
        ("broken", {}, 500, "query_failed"),
        ("slow", {"params": {"sec": 9}, "timeout_sec": 1}, 504, "deadline_exceeded"),
        ("all", {"other": 1}, 400, "invalid"),
    ):
        answer = host.http.post(f"{base}/{path}", headers=host.token, json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_the_command_line_asks_too(host: QueryHost) -> None:
    def the0(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [Path(sys.executable).with_name("the0"), "bot", "query", *arguments]
        environment = {**host.site.environ, "THE0_API_URL": str(host.http.base_url)}
        environment["THE0_API_TOKEN"] = host.token["Authorization"].split()[1]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    done = the0("good", "all", "-p", '{"n": 9223372036854775807}', "-t", "20", "--raw")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["params"] == {"n": BIG}
    assert done.stdout.count("\n") == 1
    pretty = the0("good", "/all")
    assert json.loads(pretty.stdout)["params"] == {}
    assert pretty.stdout.count("\n") > 3
    assert the0("good", "/nope").returncode == 3
    assert the0("good", "/broken").returncode == 1
    assert the0("good", "/slow", "-p", '{"sec": 9}', "-t", "1").returncode == 8
    assert the0("good", "/all", "-p", "[]").returncode == 2


# --- hostile ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("long", 504, "within 1 s"),
        ("drip", 504, "within 1 s"),
        ("cut", 500, "in the middle of its answer"),
        ("short", 500, "not usable JSON"),
        ("stream", 500, "larger than 524,288 bytes"),
        ("large", 500, "larger than 524,288 bytes"),
        ("deep", 500, "nested too deeply"),
        ("redirect", 500, "answered 302; redirects are not followed"),
        ("half", 500, "in the middle of its answer"),
        ("missing", 404, "answered 404"),
        ("words", 500, "\\x1b[2J\\nERROR forged"),
    ],
)
def test_a_hostile_query_server_harms_its_own_query(
    host: QueryHost, path: str, status: int, told: str
) -> None:
    found, why = host.told("hostile", path, timeout_sec=1)
    assert found == status, why
    assert told in why
    assert why.isprintable()


def test_no_header_of_a_caller_reaches_the_bot(host: QueryHost) -> None:
    answer = host.http.post(
        "/query",
        json={"bot_id": "hostile", "query_path": "/headers", "params": {"a": 1}},
        headers={"X-Secret": "sesame", "Cookie": "sesame", **host.token},
    )
    request = bytes.fromhex(answer.json()["data"]).decode()
    assert "sesame" not in request
    assert host.token["Authorization"] not in request
    assert "POST /headers?a=1 HTTP/1.1" in request


def test_a_query_server_that_crashes_is_started_again(host: QueryHost) -> None:
    before = host.site.running()["hostile"]
    status, why = host.told("hostile", "/crash")
    assert (status, why) == (500, "The query server closed the connection without an answer.")
    answer = host.ask("hostile", "/health")
    if answer.status_code != 200:
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "1"
    eventually(lambda: host.ask("hostile", "/health").status_code == 200, "it is back")
    assert host.site.running()["hostile"] == before


def test_a_running_bots_queries_cannot_write_its_state(host: QueryHost) -> None:
    status, why = host.told("good", "/write")
    assert (status, "Permission denied" in why) == (500, True)


# --- many, and slow ones ------------------------------------------------------------------------


def test_too_many_at_once_are_told_to_come_again(host: QueryHost) -> None:
    with ThreadPoolExecutor(9) as pool:
        slow = {"sec": 1.5}
        found = list(pool.map(lambda _: host.ask("good", "/slow", params=slow), range(9)))
    assert sorted(one.status_code for one in found) == [200] * 6 + [429] * 3
    refused = next(one for one in found if one.status_code == 429)
    assert refused.headers["Retry-After"] == "1"
    metrics = host.http.get("/metrics", headers=host.token).text
    assert 'the0_queries_total{role="query",status="429",way="proxied"} 3.0' in metrics
    assert 'the0_query_seconds_count{role="query",way="proxied"}' in metrics


def test_slow_clients_hold_up_nobody(host: QueryHost) -> None:
    """Some send their request byte by byte, some never read what they asked for."""
    body = json.dumps({"bot_id": "hostile", "query_path": "/half_a_mib"}).encode()
    head = b"POST /query HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    slow = [socket.create_connection(("127.0.0.1", host.port)) for _ in range(90)]
    try:
        for index, one in enumerate(slow):
            one.sendall((head[:20], head + body[:5], head + body)[index % 3])
        begun = time.monotonic()
        for _ in range(10):
            assert host.told("good", "/all")[0] == 200
        assert time.monotonic() - begun < 10
    finally:
        for one in slow:
            one.close()


def test_a_client_that_hangs_up_leaves_nothing(host: QueryHost) -> None:
    for bot_id, path in (("hostile", "/hang"), ("scheduled", "/slow")):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{host.http.base_url}/query",
                json={"bot_id": bot_id, "query_path": path, "params": {"sec": 60}},
                timeout=2,
            )
    host.nothing_left()

    def idle() -> bool:
        status = host.http.get("/status", headers=host.token).json()
        return all(one["running"] == 0 for one in status["roles"]["query"]["queries"].values())

    eventually(idle, "no query is under way")


# --- the public SDK -----------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["0.3.1", "0.4.0"])
def test_bots_with_the_public_sdk_answer_in_both_modes(
    host: QueryHost, version: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", f"the0-sdk=={version}"]
    subprocess.run([*command, "--target", str(tmp_path)], check=True, timeout=300)
    source = GOOD + f"\nassert {version!r}\n"
    host.bot(f"sdk-{version}", source, tmp_path)
    host.schedule(f"sdk-{version}-off", source, tmp_path)
    params = {"symbol": "BTC", "limit": 5}
    # Before 0.4 a running bot reads its parameters from the URL, where all are texts.
    from_url = {"symbol": "BTC", "limit": "5"}
    typed = from_url if version == "0.3.1" else params
    for bot_id, seen in ((f"sdk-{version}", typed), (f"sdk-{version}-off", params)):
        status, data = host.told(bot_id, "/all", params=params)
        assert (status, data["params"], data["huge"]) == (200, seen, 2**100)
        assert host.told(bot_id, "/broken") == (500, "no \\x1b[31mmarket")
        status, why = host.told(bot_id, "/nope")
        assert (status, "No handler for path: /nope" in why) == (404, True)
