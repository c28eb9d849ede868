"""What every language runtime must keep, whatever its language. Subclass it in the plugin's tests::

class TestPythonRuntime(RuntimeConformance):
    runtime_class = PythonRuntime
    entrypoints = {"bot": "main.py", "query": "query.py"}
    project = {"main.py": "def main(bot_id, config): pass", "query.py": ""}
    broken = {"main.py": "def main(:"}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import ClassVar

import pytest

from the0.errors import InvalidInput
from the0.plugin.interfaces import API_VERSION, PluginArgs, Progress, Runtime
from the0.plugin.manager import PluginManager

OURS = ("/app", "/bot", "/state", "/var/the0", "/run/the0", "/query", "/proc", "/dev")
"""Paths of a container that belong to the platform or the kernel; no image may fill them."""

CONTRACT_ENV = frozenset(
    {
        *("ID", "CONFIG", "BOT_ID", "BOT_CONFIG", "BOT_TYPE", "STATE_DIR", "CODE_MOUNT_DIR"),
        *("SCRIPT_PATH", "ENTRYPOINT_TYPE", "QUERY_PATH", "QUERY_PARAMS", "RUN_ID"),
        *("HOME", "LANG", "TZ", "THE0_QUERY_PORT", "THE0_LAUNCH", "THE0_TOKEN"),
    }
)
"""Variables that the platform sets; a runtime that set one would change the contract."""


class RecordedProgress(Progress):
    """Keeps the steps it was told."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def step(self, text: str) -> None:
        self.steps.append(text)


class RuntimeConformance:
    """`project` is a sound project's files by path, `broken` files that make it unsound, each of
    which must be named by a fault."""

    runtime_class: ClassVar[type[Runtime]]
    entrypoints: ClassVar[Mapping[str, str]]
    project: ClassVar[Mapping[str, str]]
    broken: ClassVar[Mapping[str, str]]

    @pytest.fixture
    def runtime(self, tmp_path: Path) -> Runtime:
        return self.runtime_class(PluginArgs("conformance", "", tmp_path))

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "project"
        _write(folder, self.project)
        return folder

    def test_is_found_by_its_name_and_aliases(self) -> None:
        runtimes = PluginManager.load().runtimes
        for name in (self.runtime_class.name, *self.runtime_class.aliases):
            assert runtimes.get(name) is self.runtime_class
        assert self.runtime_class.api_version == API_VERSION

    def test_image_is_the_same_each_time(self, runtime: Runtime) -> None:
        assert runtime.image() == runtime.image()

    def test_image_files_exist_and_stay_off_the_platforms_paths(self, runtime: Runtime) -> None:
        image = runtime.image()
        for target, source in image.files.items():
            assert source.exists(), f"{source}, meant for {target}, does not exist"
        for path in (*image.files, *image.links):
            assert PurePosixPath(path).is_absolute()
            assert ".." not in PurePosixPath(path).parts
            assert not any(PurePosixPath(path).is_relative_to(ours) for ours in OURS)

    def test_compiled_paths_hold_files_of_the_image(self, runtime: Runtime) -> None:
        image = runtime.image()
        for compiled in image.compile_python:
            assert any(PurePosixPath(path).is_relative_to(compiled) for path in image.files)

    def test_bot_and_query_have_commands(self, runtime: Runtime) -> None:
        plan = runtime.processes(self.entrypoints)
        assert plan.bot
        assert plan.query
        assert all(isinstance(word, str) and word for word in (*plan.bot, *plan.query))

    def test_no_query_entrypoint_means_no_query_process(self, runtime: Runtime) -> None:
        assert runtime.processes({"bot": self.entrypoints["bot"]}).query is None

    def test_environment_leaves_the_contracts_variables_alone(self, runtime: Runtime) -> None:
        env = runtime.processes(self.entrypoints).env
        assert not CONTRACT_ENV & set(env)
        assert all(isinstance(value, str) for value in env.values())

    def test_executables_are_paths_below_the_code(self, runtime: Runtime) -> None:
        for file in runtime.processes(self.entrypoints).executables:
            path = PurePosixPath(file)
            assert not path.is_absolute()
            assert ".." not in path.parts

    @pytest.mark.parametrize("outside", ["/etc/passwd", "../main", "a/../../main"])
    def test_entrypoints_outside_the_code_are_refused(self, runtime: Runtime, outside: str) -> None:
        with pytest.raises(InvalidInput):
            runtime.processes({"bot": outside + PurePosixPath(self.entrypoints["bot"]).suffix})

    def test_sound_project_has_no_faults(self, runtime: Runtime, folder: Path) -> None:
        assert list(runtime.check_project(folder, self.entrypoints)) == []

    def test_each_broken_file_is_named(self, runtime: Runtime, folder: Path) -> None:
        _write(folder, self.broken)
        faults = runtime.check_project(folder, self.entrypoints)
        for name in self.broken:
            assert any(name in fault for fault in faults), f"no fault names {name}: {faults}"

    def test_a_missing_entrypoint_is_named(self, runtime: Runtime, folder: Path) -> None:
        (folder / self.entrypoints["bot"]).unlink()
        faults = runtime.check_project(folder, self.entrypoints)
        assert any(self.entrypoints["bot"] in fault for fault in faults)

    def test_without_dependencies_vendoring_changes_nothing(
        self, runtime: Runtime, folder: Path
    ) -> None:
        before = _contents(folder)
        runtime.vendor(folder, RecordedProgress())
        assert _contents(folder) == before


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
