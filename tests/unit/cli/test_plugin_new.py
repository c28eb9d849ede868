from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

from the0.cli.main import run
from the0.cli.plugin_new import KINDS, Names, checked, files, write_plugin
from the0.errors import Conflict, InvalidInput
from the0.plugin.manager import PluginManager

NONE = PluginManager([])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["x", "my-own", "a1-b2-c3"])
def test_every_file_is_filled_in_and_can_be_read(kind: str, name: str) -> None:
    made = files(Names(kind, name))
    assert len(made) == 6
    for path, text in made.items():
        assert "$" not in text
        if path.endswith(".py"):
            ast.parse(text)
    project = tomllib.loads(made["pyproject.toml"])["project"]
    assert project["name"] == f"the0-{kind}-{name}"
    (module,) = project["entry-points"]["the0"].values()
    assert f"{module}/__init__.py" in made
    assert f"hookimpl\ndef the0_register_{kind}()" in made[f"{module}/__init__.py"]


@pytest.mark.parametrize("name", ["", "X", "a_b", "1a", "a--b", "-a", "a-", "a/b", "..", "a" * 41])
def test_a_name_that_no_plugin_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot name a plugin"):
        checked("runtime", name, NONE)


def test_a_storage_takes_no_settings_section_of_the_platform() -> None:
    with pytest.raises(InvalidInput, match="settings section"):
        checked("storage", "query-pool", NONE)
    assert checked("runtime", "query-pool", NONE) == "query-pool"


def test_the_name_of_an_installed_plugin_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, name in [("storage", "minio"), ("runtime", "gcc13"), ("executor", "docker")]:
        assert run(["plugin", "new", kind, name, "--into", str(tmp_path)]) == 2
        assert f"provides the {kind} '{name}' already" in capsys.readouterr().err
    assert run(["plugin", "new", "storage", "docker", "--into", str(tmp_path)]) == 2
    assert "settings section that is taken" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    folder = write_plugin(Names("runtime", "x"), tmp_path)
    (folder / "README.md").write_text("mine")
    with pytest.raises(Conflict, match="exists already"):
        write_plugin(Names("runtime", "x"), tmp_path)
    assert (folder / "README.md").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="file"):
        write_plugin(Names("runtime", "x"), tmp_path / "file")
