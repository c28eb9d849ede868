"""`the0 images`."""

from __future__ import annotations

import pytest

from the0.cli.main import run
from the0.plugin.manager import PluginManager


@pytest.mark.parametrize("command", ["build", "list"])
def test_without_any_runtime_it_says_what_to_install(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed = PluginManager.load().plugins()
    languages = sorted({one.distribution for one in installed if "runtime" in one.kinds})
    monkeypatch.setenv("THE0_PLUGINS__BLOCK", str(languages))
    assert run(["images", command]) == 6
    assert "pip install the0-runtime-python" in capsys.readouterr().err
