"""docs/plugins.md is held to the code: its files are built, installed, listed and tested."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.foreign import Environment
from tests.support.guide import GUIDE, write_guide_plugin
from the0.plugin import interfaces, spec


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guide's files, as a reader would have typed them."""
    return write_guide_plugin(tmp_path_factory.mktemp("guide"))


@pytest.fixture(scope="module")
def environment(project: Path) -> Environment:
    """The guide's wheel is installed in it."""
    made = Environment.make(project.parent / "venv")
    made.install(project)
    return made


def test_the_guides_plugin_is_listed(environment: Environment) -> None:
    shell = environment.plugins(os.environ)["the0-runtime-shell"]
    assert (shell["name"], shell["status"]) == ("runtime-shell", "loaded")
    assert (shell["names"], shell["hooks"]) == (["shell"], ["the0_register_runtime"])


def test_the_guides_plugin_passes_its_own_tests(environment: Environment, project: Path) -> None:
    run = subprocess.run(
        [environment.python, "-m", "pytest", "-q", "--basetemp", project / "tmp"],
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_guide_names_every_hook_and_class() -> None:
    text = GUIDE.read_text()
    hooks = [name for name in vars(spec) if name.startswith("the0_register_")]
    assert hooks
    for hook in hooks:
        kind = hook.removeprefix("the0_register_").capitalize()
        assert f"| `{hook}` | one class or a list | `{kind}` |" in text
        assert hasattr(interfaces, kind)


def test_every_suite_that_the_guide_names_exists() -> None:
    for module, name in re.findall(r"`(the0\.testing\.\w+)\.(\w+)`", GUIDE.read_text()):
        assert hasattr(__import__(module, fromlist=[name]), name)
