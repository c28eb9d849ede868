"""The plugin against the suite for runtimes, and what executables are taken."""

import platform
import struct
from pathlib import Path
from typing import ClassVar

import pytest
from the0_runtime_native import MACHINES, GccRuntime, HaskellRuntime, RustRuntime

from the0.plugin.interfaces import PluginArgs, Runtime
from the0.testing.runtime import RuntimeConformance


class Native(RuntimeConformance):
    entrypoints: ClassVar = {"bot": "build/bot", "query": "query"}
    project: ClassVar = {"build/bot": "#!/bin/sh\n", "query": "#!/bin/sh\n"}
    broken: ClassVar = {"build/bot": "int main", "query": ""}


class TestRust(Native):
    runtime_class = RustRuntime


class TestGcc(Native):
    runtime_class = GccRuntime


class TestHaskell(Native):
    runtime_class = HaskellRuntime


def elf(machine: int) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, machine)


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return GccRuntime(PluginArgs("test", "", tmp_path))


def test_an_executable_for_this_machine_is_taken(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "bot").write_bytes(elf(MACHINES[platform.machine()]))
    assert not runtime.check_project(tmp_path, {"bot": "bot"})


def test_one_for_another_machine_is_named(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "bot").write_bytes(elf(243))  # RISC-V
    (fault,) = runtime.check_project(tmp_path, {"bot": "bot"})
    assert fault.startswith("bot: is built for another machine")


def test_the_entrypoints_get_their_execute_bit(runtime: Runtime) -> None:
    plan = runtime.processes({"bot": "a/bot", "query": "q"})
    assert (plan.bot, plan.query) == (("/bot/a/bot",), ("/bot/q",))
    assert set(plan.executables) == {"a/bot", "q"}


def test_the_readme_counts_this_plugins_lines() -> None:
    plugin = Path(__file__).parents[1]
    source = (plugin / "the0_runtime_native/__init__.py").read_text()
    lines = [line for line in source.splitlines() if line.strip()]
    assert f"{len(lines)} lines" in (plugin / "README.md").read_text()
