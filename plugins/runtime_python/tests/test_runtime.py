"""The plugin against the suite for runtimes, and what is special about Python."""

from pathlib import Path
from typing import ClassVar

import pytest
from the0_runtime_python import PythonRuntime

from the0.errors import InvalidInput
from the0.plugin.interfaces import PluginArgs
from the0.testing.runtime import RuntimeConformance


class TestPythonRuntime(RuntimeConformance):
    runtime_class = PythonRuntime
    entrypoints: ClassVar = {"bot": "src/main.py", "query": "query.py"}
    project: ClassVar = {"src/main.py": "def main(): pass\n", "query.py": "print(1)\n"}
    broken: ClassVar = {"src/main.py": "def main(:\n", "query.py": "x = = 1\n"}


@pytest.fixture
def runtime(tmp_path: Path) -> PythonRuntime:
    return PythonRuntime(PluginArgs("test", "", tmp_path))


@pytest.mark.parametrize(
    "source",
    [
        "def main(): ...",
        "async def main(bot_id, config): ...",
        "from strategy import run as main",
        "from strategy import *",
        "main = make()",
        "class main: ...",
        "try:\n    from fast import main\nexcept ImportError:\n    def main(): ...",
    ],
)
def test_every_way_to_have_a_main_counts(
    runtime: PythonRuntime, tmp_path: Path, source: str
) -> None:
    (tmp_path / "main.py").write_text(source)
    assert runtime.check_project(tmp_path, {"bot": "main.py"}) == []


def test_a_bot_without_main_is_told_so(runtime: PythonRuntime, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("def start(): print('main')\n")
    (fault,) = runtime.check_project(tmp_path, {"bot": "main.py"})
    assert fault.startswith("main.py: has no function main")


def test_faults_carry_their_line(runtime: PythonRuntime, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("x = 1\ny = (\n")
    (fault,) = runtime.check_project(tmp_path, {"bot": "main.py"})
    assert fault.startswith("main.py: line 2: ")


def test_other_files_cannot_be_entrypoints(runtime: PythonRuntime) -> None:
    with pytest.raises(InvalidInput, match=r"entrypoint bot: 'main.sh' is not a Python file"):
        runtime.processes({"bot": "main.sh"})


def test_the_image_has_the_sdk_and_nothing_else_of_the_platform(runtime: PythonRuntime) -> None:
    targets = set(runtime.image().files)
    assert "/opt/the0/sdk/the0/__init__.py" in targets
    assert "/opt/the0/sdk/the0/sdk/state.py" in targets
    assert not [path for path in targets if "errors" in path or "plugin" in path]
