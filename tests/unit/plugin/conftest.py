"""Plugins as real distributions: a module and its metadata in a folder on the path."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.plugin.plugin_sources import Install


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """`install(distribution, source, entry_point=…)` makes a plugin visible to this test."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def install(distribution: str, source: str, entry_point: str = "") -> None:
        module = "plugin_" + distribution.replace("-", "_").replace(".", "_").lower()
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))
        info = tmp_path / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n"
        )
        name = entry_point or distribution
        (info / "entry_points.txt").write_text(f"[the0]\n{name} = {module}\n")

    yield install
    for module in set(sys.modules) - before:
        if module.startswith("plugin_"):
            del sys.modules[module]
