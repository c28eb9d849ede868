"""The examples of docs/bots.md run as they stand."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from the0_runtime_node.manifest import SDK_FOLDER
from the0_runtime_node.tools import FLAGS, NODE

PAGE = Path(__file__).parents[3] / "docs/bots.md"
BOT, QUERY = re.findall(r"```js\n(.*?)```", PAGE.read_text(), re.DOTALL)
ANSWER_HERE = f"""
const files = require("{SDK_FOLDER}/files.js")
const write = files.writeWhole
files.writeWhole = (path, text) => write(path.replace("/query/", process.cwd() + "/"), text)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules/the0-sdk").symlink_to(SDK_FOLDER)
    (tmp_path / "main.js").write_text(BOT)
    (tmp_path / "query.js").write_text(f"{{{ANSWER_HERE}}}\n{QUERY}")
    return tmp_path


def run(folder: Path, program: Path, **environment: str) -> Any:
    """What the program left as its result."""
    env = {
        "CODE_MOUNT_DIR": str(folder).lstrip("/"),
        "SCRIPT_PATH": "main.js",
        "STATE_DIR": str(folder / "state"),
        "BOT_ID": "b",
        "BOT_CONFIG": '{"symbol": "BTC"}',
        **environment,
    }
    subprocess.run([NODE, *FLAGS, program], env=env, cwd=folder, check=True, timeout=60)
    return json.loads((folder / "result.json").read_text())


def test_the_bot_and_its_query(folder: Path) -> None:
    wrapper = SDK_FOLDER.with_name("wrapper.js")
    for _ in range(2):
        assert run(folder, wrapper)["status"] == "success"
    asked = {"QUERY_PATH": "/runs", "QUERY_PARAMS": '{"unit": "days"}'}
    answer = run(folder, folder / "query.js", **asked)
    assert answer == {"status": "ok", "data": {"runs": 2, "unit": "days"}}
