"""The SDK against the vectors that every language's SDK keeps, as processes of the image's Node.js;
and what a bad client can do."""

import http.client
import json
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from the0_runtime_node.manifest import SDK_FOLDER
from the0_runtime_node.tools import NODE

VECTORS = json.loads((Path(__file__).parents[3] / "tests/vectors/sdk.json").read_text())
PATIENCE_SEC = 60


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


class Sandbox:
    """Runs scripts in a folder of its own; `the0` is the SDK in each of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"

    def environment(self, **extra: str) -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin",
            "CODE_MOUNT_DIR": str(self.folder).lstrip("/"),
            "STATE_DIR": str(self.state),
            "BOT_ID": "bot-1",
            "BOT_CONFIG": json.dumps(VECTORS["query"]["config"]),
            **extra,
        }

    def command(self, script: str) -> list[str]:
        return [str(NODE), "-e", f"const the0 = require({json.dumps(str(SDK_FOLDER))})\n{script}"]

    def run(self, script: str, **environment: str) -> Ran:
        ended = subprocess.run(
            self.command(script),
            env=self.environment(**environment),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SEC,
            check=False,
        )
        return Ran(ended.returncode, ended.stdout, ended.stderr)

    def value(self, expression: str) -> Any:
        """What an expression gives, as JSON with exact integers."""
        exact = f"require('{SDK_FOLDER}/json.js').stringify"
        ran = self.run(f"console.log({exact}({expression}))")
        assert ran.code == 0, ran.err
        return json.loads(ran.out)


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


def call(case: dict[str, Any]) -> str:
    return f"the0.{case['call']}(...{json.dumps(case['arguments'])})"


@pytest.mark.parametrize("case", VECTORS["results"], ids=lambda case: str(case["arguments"]))
def test_results(sandbox: Sandbox, case: dict[str, Any]) -> None:
    assert sandbox.run(call(case)).code == case["exit"]
    assert json.loads((sandbox.folder / "result.json").read_text()) == case["file"]


@pytest.mark.parametrize("case", VECTORS["lines"], ids=lambda case: str(case["arguments"]))
def test_lines(sandbox: Sandbox, case: dict[str, Any]) -> None:
    ran = sandbox.run(call(case))
    line = json.loads({"stdout": ran.out, "stderr": ran.err}[case["stream"]])
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() is not None
    assert line == case["line"]


def test_error_also_logs(sandbox: Sandbox) -> None:
    line = json.loads(sandbox.run("the0.error('no funds')").err)
    assert (line["level"], line["message"]) == ("error", "no funds")


def test_a_result_that_cannot_be_written_does_not_stop_the_bot(sandbox: Sandbox) -> None:
    ran = sandbox.run("the0.success('x'); console.log('on')", CODE_MOUNT_DIR="nowhere/at/all")
    assert (ran.code, ran.out) == (0, "on\n")
    assert "RESULT_ERROR: /nowhere/at/all/result.json" in ran.err


def test_parse(sandbox: Sandbox) -> None:
    assert sandbox.value("the0.parse()") == {"id": "bot-1", "config": {"symbol": "BTC"}}


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"BOT_ID": ""}, "BOT_ID is not set"),
        ({"BOT_CONFIG": ""}, "BOT_CONFIG is not set"),
        ({"BOT_CONFIG": '{"key": "secret", oops'}, "BOT_CONFIG is not JSON"),
    ],
)
def test_parse_says_what_is_missing(
    sandbox: Sandbox, environment: dict[str, str], named: str
) -> None:
    ran = sandbox.run("the0.parse()", **environment)
    assert ran.code == 1
    assert named in ran.err
    assert "secret" not in ran.err


# --- state ----------------------------------------------------------------------------------------


def write_all(sandbox: Sandbox) -> None:
    files = json.dumps(VECTORS["state"]["files"])
    exact = f"require('{SDK_FOLDER}/json.js').parseExact"
    script = f"for (const c of {exact}({json.dumps(files)})) the0.state.set(c.key, c.value)"
    assert sandbox.run(script).code == 0


def test_state_is_written_in_the_format_of_every_sdk(sandbox: Sandbox) -> None:
    write_all(sandbox)
    written = {path.name: json.loads(path.read_text()) for path in sandbox.state.iterdir()}
    assert written == {case["file"]: case["value"] for case in VECTORS["state"]["files"]}


def test_state_of_every_sdk_is_read(sandbox: Sandbox) -> None:
    sandbox.state.mkdir()
    for case in VECTORS["state"]["files"]:
        (sandbox.state / case["file"]).write_text(json.dumps(case["value"]))
    expression = (
        "the0.state.list().map((key) => [key, the0.state.get(key, 'none', { exact: true })])"
    )
    expected = sorted([case["key"], case["value"]] for case in VECTORS["state"]["files"])
    assert sandbox.value(expression) == expected


def test_rounded_integers_of_state_are_named_once(sandbox: Sandbox) -> None:
    write_all(sandbox)
    script = "for (let i = 0; i < 2; i++) console.log(the0.state.get('order_id')[0] === 2 ** 53)"
    ran = sandbox.run(script)
    assert ran.out == "true\ntrue\n"
    assert "state order_id[0] is 9007199254740993" in json.loads(ran.err)["message"]
    assert "(and 1 more)" in ran.err


def test_odd_floats_of_python_are_read(sandbox: Sandbox) -> None:
    sandbox.state.mkdir()
    (sandbox.state / "odd.json").write_text(json.dumps([float("nan"), float("-inf"), "NaN", 1.5]))
    assert sandbox.value("the0.state.get('odd').map(String)") == ["NaN", "-Infinity", "NaN", "1.5"]


@pytest.mark.parametrize("key", VECTORS["state"]["bad_keys"])
def test_impossible_keys_are_refused(sandbox: Sandbox, key: str) -> None:
    for method in ("get", "exists", "delete"):
        ran = sandbox.run(f"the0.state.{method}({json.dumps(key)})")
        assert "RangeError" in ran.err


def test_only_what_is_no_json_is_called_corrupt(sandbox: Sandbox) -> None:
    sandbox.state.mkdir()
    (sandbox.state / "deep.json").write_text("[" * 7000 + str(2**60) + "]" * 7000)
    ran = sandbox.run("try { the0.state.get('deep') } catch (e) { console.log(e.name) }")
    assert ran.out == "RangeError\n"


@pytest.mark.parametrize("content", VECTORS["state"]["broken_files"])
def test_a_broken_file_is_named_and_kept(sandbox: Sandbox, content: str) -> None:
    sandbox.state.mkdir()
    file = sandbox.state / "x.json"
    file.write_text(content)
    ran = sandbox.run(
        "try { the0.state.get('x', 'default') } catch (e) {"
        " console.log(e instanceof the0.state.CorruptStateError, e.message) }"
    )
    assert ran.out.startswith("true ")
    assert str(file) in ran.out
    assert file.read_text() == content


def test_the_rest_of_state(sandbox: Sandbox) -> None:
    ran = sandbox.run(
        "const { state } = the0\n"
        "state.set('a', 1); state.set('b', 2)\n"
        "console.log(state.exists('a'), state.delete('a'), state.delete('a'), state.exists('a'))\n"
        "state.clear(); console.log(state.list(), state.get('b', 'default'), state.get('b'))\n"
    )
    assert ran.out == "true true false false\n[] default undefined\n"


@pytest.mark.parametrize(
    "value", ["undefined", "() => 1", "(() => { const a = []; a.push(a); return a })()"]
)
def test_what_json_cannot_hold_leaves_the_old_value(sandbox: Sandbox, value: str) -> None:
    ran = sandbox.run(f"the0.state.set('a', 1); the0.state.set('a', {value})")
    assert "TypeError" in ran.err
    assert [path.name for path in sandbox.state.iterdir()] == ["a.json"]
    assert (sandbox.state / "a.json").read_text() == "1"


def test_a_write_that_fails_leaves_the_old_value_and_nothing_else(sandbox: Sandbox) -> None:
    ran = sandbox.run(
        "the0.state.set('a', 1)\n"
        "require('node:fs').renameSync = () => { throw new Error('disk') }\n"
        "the0.state.set('a', 2)"
    )
    assert "Error: disk" in ran.err
    assert [path.name for path in sandbox.state.iterdir()] == ["a.json"]
    assert (sandbox.state / "a.json").read_text() == "1"


# --- queries --------------------------------------------------------------------------------------

HANDLERS = """
const files = require("SDK/files.js")
const write = files.writeWhole
files.writeWhole = (path, text) => write(path.replace("/query/", process.cwd() + "/"), text)
const { query, state } = the0
query.handler("/echo", () => query.getParams())
query.handler("/config", async () => query.getConfig())
query.handler("/fail", () => { throw new Error("broken") })
query.handler("/write", () => { state.set("x", 1) })
EXTRA
query.run()
""".replace("SDK", str(SDK_FOLDER))


@pytest.mark.parametrize("case", VECTORS["query"]["once"], ids=lambda case: str(case["path"]))
def test_asked_once(sandbox: Sandbox, case: dict[str, Any]) -> None:
    environment = {"QUERY_PATH": case["path"], "QUERY_PARAMS": case["params"]}
    # What a handler leaves open does not hold the answer back.
    script = HANDLERS.replace("EXTRA", "setInterval(() => {}, 60000)")
    assert sandbox.run(script, **environment).code == case["exit"]
    assert json.loads((sandbox.folder / "result.json").read_text()) == case["result"]


def test_state_cannot_be_written_in_a_query(sandbox: Sandbox) -> None:
    ran = sandbox.run(HANDLERS.replace("EXTRA", ""), QUERY_PATH="/write")
    assert ran.code == 1
    assert "a query may only read state" in (sandbox.folder / "result.json").read_text()


def test_without_a_path_a_scheduled_bot_tells_what_can_be_asked(sandbox: Sandbox) -> None:
    assert sandbox.run(HANDLERS.replace("EXTRA", ""), BOT_TYPE="scheduled").code == 0
    answer = json.loads((sandbox.folder / "result.json").read_text())
    assert "/echo" in answer["data"]["available_queries"]


SERVED = """
query.handler("/meet", async (request) => {
  await new Promise((go) => (globalThis.met ? (globalThis.met(), go()) : (globalThis.met = go)))
  return [request.get("who"), query.getParams().who, request.get("constructor", "none")]
})
query.handler("/net worth/\u00e4", () => "heard")
query.handler("/nothing", () => undefined)
query.handler("/odd", () => { const a = []; a.push(a); return a })
query.handler("/text", () => { throw "only text" })
query.handler("/large", () => ({ id: 12345678901234567890n }))
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a query server with the handlers of the vectors and some more."""
    sandbox = Sandbox(tmp_path_factory.mktemp("served"))
    process = subprocess.Popen(
        sandbox.command(HANDLERS.replace("EXTRA", SERVED)),
        env=sandbox.environment(BOT_TYPE="realtime", THE0_QUERY_PORT="0"),
        cwd=sandbox.folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    started = json.loads(process.stderr.readline())["message"]
    yield int(started.rpartition(" ")[2])
    process.kill()
    process.communicate()


def ask(port: int, method: str, target: str, body: str | None = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SEC)
    try:
        connection.request(method, target, body)
        response = connection.getresponse()
        assert response.headers["Content-Type"] == "application/json"
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def without_extra(answer: Any) -> Any:
    """An answer whose list of queries has only those of the vectors."""
    text = json.dumps(answer)
    for path in ("net worth/\\u00e4", "meet", "nothing", "odd", "text", "large"):
        text = text.replace(f'"/{path}", ', "")
    return json.loads(text)


@pytest.mark.parametrize("case", VECTORS["query"]["served"], ids=lambda case: case["target"])
def test_served(port: int, case: dict[str, Any]) -> None:
    status, answer = ask(port, case["method"], case["target"], case.get("body"))
    assert (status, without_extra(answer)) == (case["status"], case["answer"])


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/nothing", (200, {"status": "ok", "data": None})),
        ("/net%20worth/%C3%A4", (200, {"status": "ok", "data": "heard"})),
        ("/net%20worth/%E4", (404, None)),
        ("/large", (200, {"status": "ok", "data": {"id": 12345678901234567890}})),
        ("/text", (500, {"status": "error", "error": "only text"})),
        ("//echo?a=1", (404, None)),
        ("/odd", (500, None)),
        ("/write", (500, None)),
    ],
)
def test_other_answers(port: int, target: str, expected: tuple[int, Any]) -> None:
    status, answer = ask(port, "GET", target)
    assert status == expected[0]
    assert expected[1] is None or answer == expected[1]


def test_queries_run_side_by_side_with_their_own_parameters(port: int) -> None:
    first = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SEC)
    first.request("GET", "/meet?who=a")
    assert ask(port, "GET", "/meet?who=b")[1]["data"] == ["b", "b", "none"]
    assert json.loads(first.getresponse().read())["data"] == ["a", "a", "none"]
    first.close()


def test_a_bad_client_harms_nobody(port: int) -> None:
    assert ask(port, "POST", "/echo", "x" * (1024 * 1024 + 1))[0] == 413
    assert ask(port, "DELETE", "/echo")[0] == 405
    for half in (
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
        b"nonsense\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(half)
    assert ask(port, "GET", "/health")[0] == 200
