"""The executor without Docker: the conformance suite, and what is its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from the0.builtin.executor_process import ProcessExecutor
from the0.plugin.interfaces import ImageSpec, PluginArgs
from the0.testing.containers import Silent
from the0.testing.executor import ExecutorConformance

IMAGE = "the0/test-process:latest"


def make(state_dir: Path, installation: str = "mine") -> ProcessExecutor:
    return ProcessExecutor(PluginArgs("t", installation, state_dir))


class TestConformance(ExecutorConformance):
    @pytest.fixture
    def executor(self, tmp_path: Path) -> ProcessExecutor:
        self.state_dir = tmp_path
        return make(tmp_path)

    @pytest.fixture
    def image(self, executor: ProcessExecutor) -> str:
        executor.build_image(IMAGE, "digest", ImageSpec(packages=()), Silent())
        return IMAGE

    def make_other(self) -> ProcessExecutor:
        return make(self.state_dir, "another")

    def make_unreachable(self) -> ProcessExecutor:
        return make(Path("/dev/null/nowhere"))
