"""The plugin of docs/plugins.md, made as its reader makes it."""

from __future__ import annotations

import re
from pathlib import Path

from the0.cli.plugin_new import Names, write_plugin

GUIDE = Path(__file__).parents[2] / "docs" / "plugins.md"
_FILE_BLOCK = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_AS_WRITTEN = ("pyproject.toml", "the0_runtime_shell/__init__.py")
"""Files that the guide shows as `the0 plugin new` writes them."""


def guide_files() -> dict[str, str]:
    """The files that the guide shows, by path."""
    return dict(_FILE_BLOCK.findall(GUIDE.read_text()))


def write_guide_plugin(into: Path) -> Path:
    """The guide's project: generated, then changed as the guide says."""
    folder = write_plugin(Names("runtime", "shell"), into)
    shown = guide_files()
    for name in _AS_WRITTEN:
        assert shown[name] == (folder / name).read_text(), f"the guide shows another {name}"
    for name in ("the0_runtime_shell/runtime.py", "tests/test_runtime.py"):
        assert (folder / name).exists(), f"there is no {name} that the guide could change"
        (folder / name).write_text(shown[name])
    return folder
