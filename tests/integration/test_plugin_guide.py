"""docs/plugins.md is held to the code: its files are built, installed, listed and tested."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from the0.plugin import interfaces, spec

GUIDE = Path(__file__).parents[2] / "docs" / "plugins.md"
FILE_BLOCK = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guide's files, as a reader would have typed them."""
    folder = tmp_path_factory.mktemp("guide")
    blocks = FILE_BLOCK.findall(GUIDE.read_text())
    assert {name for name, _ in blocks} >= {"pyproject.toml", "the0_runtime_shell/__init__.py"}
    for name, text in blocks:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture(scope="module")
def installed(project: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the guide's wheel is installed beside the platform."""
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "-q"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(project), str(project)]
    subprocess.run(build, check=True)
    (wheel,) = project.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True)
    return {**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}


def test_the_guides_plugin_is_listed(installed: dict[str, str]) -> None:
    command = [Path(sys.executable).with_name("the0"), "plugins", "--json"]
    listed = subprocess.run(command, env=installed, check=True, capture_output=True, text=True)
    plugins = json.loads(listed.stdout)["plugins"]
    (shell,) = (plugin for plugin in plugins if plugin["name"] == "runtime-shell")
    assert shell["distribution"] == "the0-runtime-shell"
    assert shell["status"] == "loaded"
    assert shell["hooks"] == ["the0_register_runtime"]


def test_the_guides_plugin_passes_its_own_tests(installed: dict[str, str], project: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    run = subprocess.run(
        command, check=False, env=installed, cwd=project, capture_output=True, text=True
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
