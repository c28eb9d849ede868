"""docs/bots.md, held to the code: its project loads, its bot runs, it names all of the SDK."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import the0
from the0.plugin.manager import PluginManager
from the0.project import check_instance, load_project

GUIDE = (Path(__file__).parents[3] / "docs/bots.md").read_text()
SCHEMA = {"type": "object", "required": ["symbol"], "properties": {"symbol": {"type": "string"}}}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder that the guide describes, of the guide's own blocks."""
    main, query = blocks("python")
    (config,) = blocks("yaml")
    files = {"bot-config.yaml": config, "main.py": main, "query.py": query, "README.md": ""}
    for name, text in {**files, "bot-schema.json": json.dumps(SCHEMA)}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_project_and_its_instance_are_sound(project: Path) -> None:
    config = load_project(project, PluginManager.load().runtimes).config
    instance, *_ = blocks("json")
    custom = {"version": config.version, "config": config.document}
    assert check_instance(json.loads(instance), custom) == []


def test_the_bot_runs_as_the_guide_says_and_the_query_answers(project: Path) -> None:
    command = blocks("sh")[-1].rpartition("python -c ")[2].strip().strip("'")
    environment = {
        "PATH": os.environ["PATH"],
        "BOT_ID": "try",
        "BOT_CONFIG": '{"symbol": "BTC/USD"}',
        "CODE_MOUNT_DIR": str(project).lstrip("/"),
        "STATE_DIR": str(project / "state"),
    }
    for runs in (1, 2):
        ran = subprocess.run(
            [sys.executable, "-c", command],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(ran.stderr)["runs"] == runs
    asking = (
        "import runpy, the0.sdk.query as sdk\n"
        f"sdk.RESULT_PATH = {str(project / 'answer.json')!r}\n"
        "runpy.run_path('query.py')"
    )
    subprocess.run(
        [sys.executable, "-c", asking],
        cwd=project,
        env={**environment, "QUERY_PATH": "/runs", "QUERY_PARAMS": '{"unit": "days"}'},
        check=True,
    )
    answer = json.loads((project / "answer.json").read_text())
    assert answer == {"status": "ok", "data": {"runs": 2, "asked_for": "days"}}


@pytest.mark.parametrize(
    "name",
    [
        *(name for name in the0.__all__ if name not in ("state", "query")),
        *(f"state.{name}" for name in the0.state.__all__),
        *("query.handler", "query.run", "query.get_params", "query.get_config"),
    ],
)
def test_every_name_of_the_sdk_is_explained(name: str) -> None:
    assert re.search(rf"\b{re.escape(name)}\b", GUIDE)
