"""`the0 plugins` and `the0 settings`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from the0.cli.main import run


def test_settings_show_where_each_value_comes_from_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[runner]\nstarts_at_once = 7\n[nats]\nurl = "nats://u:hunter2@h:1"\n')
    monkeypatch.setenv("MONGO_URI", "mongodb://u:hunter2@localhost/")
    assert run(["settings", "--settings", str(file), "--json"]) == 0
    out = capsys.readouterr().out
    found = {one["name"]: one for one in json.loads(out)["settings"]}
    assert found["runner.starts_at_once"]["value"] == 7
    assert str(file) in found["runner.starts_at_once"]["origin"]
    assert "MONGO_URI" in found["mongo.uri"]["origin"]
    assert found["api.port"] == {"name": "api.port", "value": 9477, "origin": "default"}
    assert found["mongo.uri"]["value"] == found["nats.url"]["value"] == "***"
    assert "hunter2" not in out
    assert run(["settings", "--settings", str(file)]) == 0
    assert "hunter2" not in capsys.readouterr().out


def test_wrong_settings_are_told_all_at_once_with_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[api]\nport = "x"\n[runner]\nstarts_at_onse = 7\n')
    assert run(["settings", "--settings", str(file)]) == 2
    error = capsys.readouterr().err
    assert "api.port" in error
    assert "did you mean runner.starts_at_once?" in error


def test_plugins_are_listed_with_what_they_provide(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plugins", "--json"]) == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)["plugins"]}
    assert (found["docker"]["kinds"], found["docker"]["status"]) == (["executor"], "loaded")
    assert run(["plugins"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split()[:2] == ["PLUGIN", "DISTRIBUTION"]


def test_a_blocked_plugin_is_listed_as_such(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THE0_PLUGINS__BLOCK", "['the0-storage-minio']")
    assert run(["plugins", "--json"]) == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)["plugins"]}
    assert found["minio"]["status"] == "blocked"


@pytest.mark.parametrize("arguments", [["--help"], ["bot", "--help"], ["--version"], ["bot"]])
def test_help_and_version_are_quick_to_give(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(arguments)
    captured = capsys.readouterr()
    assert code in (0, 2)
    assert "the0" in captured.out + captured.err
    assert "Traceback" not in captured.err


def test_a_listed_distribution_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THE0_PLUGINS__BLOCK", "the0-nosuch")
    assert run(["plugins"]) == 0
    assert "'the0-nosuch'" in capsys.readouterr().err
    assert run(["plugins", "--json"]) == 0
    (warning,) = json.loads(capsys.readouterr().out)["warnings"]
    assert "'the0-nosuch'" in warning
