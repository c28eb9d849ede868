"""What a bot reads at its start and tells: against the vectors, as a process would see it."""

import importlib.metadata
import io
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

import the0

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/sdk.json").read_text())


@pytest.fixture
def bot_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CODE_MOUNT_DIR", str(tmp_path).lstrip("/"))
    return tmp_path


def call(case: dict) -> int:
    try:
        getattr(the0, case["call"])(*case["arguments"])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize("case", VECTORS["results"], ids=lambda case: str(case["arguments"]))
def test_results(bot_folder: Path, case: dict) -> None:
    assert call(case) == case["exit"]
    assert json.loads((bot_folder / "result.json").read_text()) == case["file"]


@pytest.mark.parametrize("case", VECTORS["lines"], ids=lambda case: str(case["arguments"]))
def test_lines(case: dict, capsys: pytest.CaptureFixture[str]) -> None:
    call(case)
    text = getattr(capsys.readouterr(), {"stdout": "out", "stderr": "err"}[case["stream"]])
    line = json.loads(text)
    assert text.endswith("\n")
    moment = line.pop("timestamp")
    assert moment.endswith("Z")
    assert datetime.fromisoformat(moment).utcoffset() is not None
    assert line == case["line"]


def test_error_also_logs(bot_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        the0.error("no funds")
    assert json.loads(capsys.readouterr().err)["level"] == "error"


def test_each_line_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    writes = []

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            writes.append(text)
            return len(text)

    monkeypatch.setattr(sys, "stdout", Stream())
    the0.metric("a", {"b": 1})
    (line,) = writes
    assert line.endswith("}\n")


def test_a_result_that_cannot_be_written_does_not_stop_the_bot(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CODE_MOUNT_DIR", "nowhere/at/all")
    the0.success("done")
    assert "RESULT_ERROR: /nowhere/at/all/result.json" in capsys.readouterr().err


def test_a_result_that_is_not_json_leaves_the_last_one(bot_folder: Path) -> None:
    the0.success("done")
    the0.result({"bad": object()})
    assert json.loads((bot_folder / "result.json").read_text())["message"] == "done"


def test_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOT_ID", "b-1")
    monkeypatch.setenv("BOT_CONFIG", '{"big": 9007199254740993}')
    assert the0.parse() == ("b-1", {"big": 9007199254740993})


@pytest.mark.parametrize(
    ("environment", "named"),
    [({}, "BOT_ID"), ({"BOT_ID": "x"}, "BOT_CONFIG"), ({"BOT_ID": "x", "BOT_CONFIG": "{"}, "JSON")],
)
def test_parse_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, environment: dict, named: str
) -> None:
    for name in ("BOT_ID", "BOT_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=named):
        the0.parse()


def test_importing_the_sdk_loads_nothing_of_the_platform_and_no_server() -> None:
    program = "import the0, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    ours = {name for name in loaded if name.startswith("the0.")}
    assert {name for name in ours if not name.startswith("the0.sdk")} == {
        "the0.query",
        "the0.state",
    }
    assert not {"http.server", "asyncio", "pluggy", "the0.sdk.server"} & set(loaded)


@pytest.mark.parametrize(
    "program",
    [
        "from the0 import state, query; state.list, query.handler",
        "import the0.state, the0.query; the0.state.list, the0.query.handler",
        "import the0; the0.state.list, the0.query.handler",
        "from the0.query import handler, run, QueryRequest; from the0.state import get",
    ],
)
def test_every_way_of_importing_works(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True)


def test_version_is_the_distributions() -> None:
    assert the0.__version__ == importlib.metadata.version("the0")
