"""What `the0 plugin new` writes passes its own tests at once, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.foreign import Environment
from the0.cli.main import the0
from the0.cli.plugin_new import KINDS, Names, write_plugin


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """All four kinds are installed in it."""
    folder = tmp_path_factory.mktemp("new")
    made = Environment.make(folder / "venv")
    made.install(*(write_plugin(Names(kind, "my-own"), folder) for kind in KINDS))
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_passes_its_own_tests(environment: Environment, kind: str) -> None:
    project = environment.root.parent / f"the0-{kind}-my-own"
    run = subprocess.run(
        [environment.python, "-m", "pytest", "-q", "--basetemp", project / "tmp"],
        check=False,
        cwd=project,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_new_plugins_of_all_kinds_stand_side_by_side(environment: Environment) -> None:
    found = environment.plugins(os.environ)
    for kind in KINDS:
        one = found[f"the0-{kind}-my-own"]
        assert (one["status"], one["kinds"], one["names"]) == ("loaded", [kind], ["my-own"])
        assert (one["version"], one["hooks"]) == ("0.1.0", [f"the0_register_{kind}"])


def test_the_command_says_what_to_do_next(tmp_path: Path) -> None:
    done = CliRunner().invoke(the0, ["plugin", "new", "runtime", "shell", "--into", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "pytest" in done.output
    assert (tmp_path / "the0-runtime-shell" / "pyproject.toml").is_file()
