"""Our SDK beside the public the0-sdk from PyPI: the same scripts, the same files, lines, answers
and exit codes. Where ours differs on purpose, a test says so."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import the0

OURS = Path(the0.__file__).parent.parent
VECTORS = json.loads((Path(__file__).parents[1] / "vectors/sdk.json").read_text())
PATIENCE_SEC = 30.0


@pytest.fixture(scope="session")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The public SDK, installed by pip into a folder of its own."""
    folder = tmp_path_factory.mktemp("the0-sdk")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "the0-sdk==0.4.0"]
    subprocess.run([*command, "--target", str(folder)], check=True, timeout=300)
    return folder


@dataclass(frozen=True)
class Seen:
    """What a script left behind, without the moments in its lines."""

    code: int
    out: list[Any]
    err: list[Any]
    files: dict[str, str]


class Sandbox:
    """Runs scripts with one of the SDKs in a folder of its own."""

    def __init__(self, sdk: Path, folder: Path) -> None:
        self.sdk = sdk
        self.folder = folder
        folder.mkdir()

    def environment(self, **extra: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(self.sdk),
            "CODE_MOUNT_DIR": str(self.folder).lstrip("/"),
            "STATE_DIR": str(self.folder / "state"),
            "BOT_ID": "bot-1",
            "BOT_CONFIG": json.dumps(VECTORS["query"]["config"]),
            **extra,
        }

    def run(self, script: str, **environment: str) -> Seen:
        ended = subprocess.run(
            [sys.executable, "-c", script],
            env=self.environment(**environment),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        paths = [path for path in self.folder.rglob("*") if path.is_file()]
        files = {str(path.relative_to(self.folder)): path.read_text() for path in sorted(paths)}
        return Seen(ended.returncode, lines(ended.stdout), lines(ended.stderr), files)


def lines(text: str) -> list[Any]:
    found = []
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            found.append(line)
            continue
        if isinstance(value, dict):
            assert value.pop("timestamp", "Z").endswith("Z")
        found.append(value)
    return found


@pytest.fixture
def both(public: Path, tmp_path: Path) -> tuple[Sandbox, Sandbox]:
    return Sandbox(OURS, tmp_path / "ours"), Sandbox(public, tmp_path / "public")


def same(both: tuple[Sandbox, Sandbox], script: str, **environment: str) -> Seen:
    ours, theirs = (sandbox.run(script, **environment) for sandbox in both)
    assert ours == theirs
    return ours


def test_each_sandbox_has_its_own_sdk(both: tuple[Sandbox, Sandbox]) -> None:
    for sandbox in both:
        seen = sandbox.run("import the0; print(the0.__file__)")
        assert seen.out == [str(sandbox.sdk / "the0/__init__.py")]


STATE = """
import json
from the0 import state
for case in json.loads(CASES):
    state.set(case["key"], case["value"])
state.set("odd", float("nan"))
state.set("gone", 1)
print(json.dumps([state.delete("gone"), state.delete("gone"), state.exists("odd")]))
print(json.dumps([state.get("portfolio"), state.get("missing"), state.get("missing", 5)]))
print(json.dumps(sorted(state.list())))
for key in BAD:
    for call in (state.get, state.exists, state.delete):
        try:
            call(key)
            print("accepted", repr(key))
        except ValueError:
            pass
"""


def test_state_files_and_answers(both: tuple[Sandbox, Sandbox]) -> None:
    vectors = VECTORS["state"]
    script = STATE.replace("BAD", repr(vectors["bad_keys"]))
    script = script.replace("CASES", repr(json.dumps(vectors["files"])))
    seen = same(both, script)
    assert seen.code == 0
    assert {f"state/{case['file']}" for case in vectors["files"]} <= set(seen.files)
    assert not [line for line in seen.out if str(line).startswith("accepted")]


def test_clearing_state(both: tuple[Sandbox, Sandbox]) -> None:
    script = "from the0 import state\nstate.set('a', 1)\nstate.clear()\nprint(state.list())"
    assert same(both, script).files == {}


@pytest.mark.parametrize("change", ["set('x', 1)", "delete('x')", "clear()"])
def test_state_in_a_query(both: tuple[Sandbox, Sandbox], change: str) -> None:
    script = (
        "from the0 import query, state\n"
        f"try: state.{change}\n"
        "except query.ReadOnlyStateError: print('refused', query.is_query_mode())"
    )
    assert same(both, script, QUERY_PATH="/x").out == ["refused True"]


@pytest.mark.parametrize(
    "case", [*VECTORS["results"], *VECTORS["lines"]], ids=lambda case: str(case["arguments"])
)
def test_results_and_lines(both: tuple[Sandbox, Sandbox], case: dict[str, Any]) -> None:
    seen = same(both, f"import the0\nthe0.{case['call']}(*{case['arguments']!r})")
    assert seen.code == case.get("exit", 0)


@pytest.mark.parametrize(
    "script",
    [
        "import the0; print(the0.parse()); the0.sleep(0)",
        "from the0 import parse, state, query, success, error, result, metric, log, sleep",
        "import the0.state, the0.query; print(the0.query.QueryRequest('/a', {'b': 1}))",
        "from the0 import query; print(query.get_params(), query.get_config())",
        "import the0; the0.metric('m', {'_metric': 'mine', 'x': [1.5, None, 'ü']})",
    ],
)
def test_scripts(both: tuple[Sandbox, Sandbox], script: str) -> None:
    assert same(both, script).code == 0


@pytest.mark.parametrize("missing", ["BOT_ID", "BOT_CONFIG"])
def test_parse_without_its_variables(both: tuple[Sandbox, Sandbox], missing: str) -> None:
    script = "import the0\ntry: the0.parse()\nexcept ValueError: print('refused')"
    assert same(both, script, **{missing: ""}).out == ["refused"]


QUERIES = """
import os, the0
from the0 import query, state
@query.handler("/echo")
def echo(request): return request.params
@query.handler("/config")
def config(request): return query.get_config()
@query.handler("/fail")
def fail(request): raise RuntimeError("broken")
@query.handler("/write")
def write(request): state.set("x", 1)
module = getattr(__import__("the0"), "sdk", None)
target = os.environ["RESULT"]
if module: module.query.RESULT_PATH = target
else: query._QUERY_RESULT_PATH = target
query.run()
"""


@pytest.mark.parametrize("case", VECTORS["query"]["once"], ids=lambda case: case["path"])
def test_queries_asked_once(
    both: tuple[Sandbox, Sandbox], tmp_path: Path, case: dict[str, Any]
) -> None:
    answers = []
    for number, sandbox in enumerate(both):
        path = tmp_path / f"result-{number}.json"
        environment = {"QUERY_PATH": case["path"], "QUERY_PARAMS": case["params"]}
        seen = sandbox.run(QUERIES, RESULT=str(path), **environment)
        answers.append((seen.code, seen.out, path.read_text()))
    assert answers[0] == answers[1]


@pytest.fixture
def served(both: tuple[Sandbox, Sandbox]) -> Iterator[list[int]]:
    """Ports of the query servers of both SDKs."""
    ports, processes = [], []
    for sandbox in both:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
        environment = sandbox.environment(
            RESULT="/nowhere", BOT_TYPE="realtime", THE0_QUERY_PORT=str(ports[-1])
        )
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", QUERIES],
                env=environment,
                cwd=sandbox.folder,
                stderr=subprocess.DEVNULL,
            )
        )
    for port in ports:
        wait_for(port)
    yield ports
    for process in processes:
        process.terminate()
        process.wait(PATIENCE_SEC)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_SEC
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise AssertionError(f"nothing listens on port {port}")


def ask(port: int, method: str, target: str, body: str | None) -> tuple[int, str, bytes]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{target}", body.encode() if body else None, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SEC) as response:
            return response.status, response.headers["Content-Type"], response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read()


def test_queries_served(served: list[int]) -> None:
    for case in VECTORS["query"]["served"]:
        ours, theirs = (
            ask(port, case["method"], case["target"], case.get("body")) for port in served
        )
        assert ours == theirs
        assert json.loads(ours[2]) == case["answer"]


def test_a_torn_state_file_is_our_error_and_their_default(both: tuple[Sandbox, Sandbox]) -> None:
    script = "from the0 import state\nprint(state.get('x', 'default'))"
    for sandbox in both:
        (sandbox.folder / "state").mkdir()
        (sandbox.folder / "state/x.json").write_text('{"half')
    ours, theirs = (sandbox.run(script) for sandbox in both)
    assert (ours.code, theirs.code, theirs.out) == (1, 0, ["default"])
    assert "x.json" in str(ours.err[-1])


def test_a_state_write_while_serving_is_our_refusal(served: list[int]) -> None:
    ours, theirs = (ask(port, "GET", "/write", None)[0] for port in served)
    assert (ours, theirs) == (500, 200)
