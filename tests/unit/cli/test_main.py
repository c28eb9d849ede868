"""How every end of a command looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.answers import answering
from tests.support.rights import without_rights
from the0.cli.main import run


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of `the0 local`, for a test to close."""
    folder = tmp_path / "closed"
    folder.mkdir()
    monkeypatch.setenv("THE0_LOCAL_DIR", str(folder))
    yield folder
    folder.chmod(0o700)


def test_a_token_of_another_user_is_named_with_who_may_read_it(
    closed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = closed / "client.json"
    file.write_text("{}")
    file.chmod(0)
    closed.chmod(0)
    with without_rights():
        code = run(["bot", "list"])
    error = capsys.readouterr().err
    assert code == 5
    assert f"{file} cannot be read" in error
    assert "user alone who ran `the0 local start`" in error


def test_what_the_system_refuses_is_one_message(
    closed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed.chmod(0)
    with without_rights():
        code = run(["doctor"])
    assert code == 1
    assert capsys.readouterr().err == f"Error: {closed}/settings.toml: Permission denied.\n"


# Valid as the list of bots, as a log line and as the answer of a query.
ANSWER = (
    b'{"timestamp": "T", "message": "a\\ud800b", "data": "a\\ud800b", '
    b'"bots": [{"id": "x", "name": "x"}]}'
)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["bot", "logs", "x"], "T a\\ud800b "),
        (["runs", "logs", "x"], "T a\\ud800b "),
        (["bot", "query", "x", "/"], '"a\\ud800b"\n'),
        (["bot", "query", "x", "/", "--raw"], '"a\\ud800b"\n'),
    ],
)
def test_what_a_bot_says_that_is_no_unicode_is_shown_escaped(
    arguments: list[str],
    shown: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with answering([ANSWER]) as server:
        monkeypatch.setenv("THE0_API_URL", server.url)
        monkeypatch.setenv("THE0_API_TOKEN", "t")
        assert run(arguments) == 0
    assert capsys.readouterr().out.startswith(shown)


@pytest.mark.parametrize(
    ("option", "value"), [("-t", "nan"), ("-t", "inf"), ("-p", '{"a": "\udcff"}'), ("-p", "NaN")]
)
def test_a_query_of_what_is_no_number_or_text_is_refused_by_name(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["bot", "query", "x", "/", "--url", "http://127.0.0.1:1", "--token", "t"]
    assert run([*asked, option, value]) == 2
    assert {"-t": "--timeout", "-p": "--params"}[option] in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs", "list", "--before", "\udcff"],
        ["bot", "logs", "x", "--date", "\udcff"],
        ["bot", "deploy", "i.json", "--id", "\udcff"],
        ["custom-bot", "show", "x", "--version", "\udcff"],
        ["bot", "list", "--url", "\udcff"],
    ],
)
def test_an_argument_that_is_no_text_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("i.json").write_text('{"name": "x", "type": "realtime/x", "version": "1.0.0", "key": "S"}')
    with answering([b'{"bots": []}']) as server:
        monkeypatch.setenv("THE0_API_URL", server.url)
        monkeypatch.setenv("THE0_API_TOKEN", "t")
        assert run(arguments) == 2
    error = capsys.readouterr().err
    assert "\\udcff" in error
    assert len(error) < 150


@pytest.mark.parametrize("text", ["{}", "[]", "7", '{"url": 5, "token": null}', "\u00ff", ""])
def test_a_broken_client_json_is_one_message(
    text: str, closed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (closed / "client.json").write_text(text, encoding="latin-1")
    assert run(["bot", "list"]) == 2
    assert capsys.readouterr().err.startswith("Error: ")
