"""The commands against a control API that really serves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.api import SCHEMA, TOKEN, ApiHost, Runner, api_host, instance
from tests.support.cli import Cli
from the0.testing.servers import S3Server, Server

COMMAND = str(Path(sys.executable).parent / "the0")


@pytest_asyncio.fixture
async def host(
    tmp_path: Path, mongod: Server, object_store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ApiHost]:
    async with api_host(tmp_path / "state", mongod, object_store) as found:
        monkeypatch.setenv("THE0_API_URL", found.url)
        monkeypatch.setenv("THE0_API_TOKEN", TOKEN)
        yield found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "sma"
    folder.mkdir()
    config = {
        "name": "sma",
        "description": "Crosses averages.",
        "version": "1.0.0",
        "author": "tests",
        "type": "realtime",
        "runtime": "python3.11",
        "entrypoints": {"bot": "main.py"},
        "schema": {"bot": "bot-schema.json"},
        "readme": "README.md",
    }
    (folder / "bot-config.yaml").write_text(json.dumps(config))
    (folder / "bot-schema.json").write_text(json.dumps(SCHEMA))
    (folder / "README.md").write_text("# SMA\n")
    (folder / "main.py").write_text("def main(bot_id, config):\n    pass\n")
    return folder


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "btc.json"
    write(path, instance())
    return path


def write(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value))


@pytest.fixture
def nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with Path(os.devnull).open() as empty:
        monkeypatch.setattr("sys.stdin", empty)
        yield


async def test_the_way_of_a_bot_from_its_code_to_its_end(
    host: ApiHost, cli: Cli, project: Path, file: Path
) -> None:
    assert await cli("custom-bot", "deploy", project) == 0
    assert cli.out == "Deployed sma 1.0.0.\n"
    assert await cli("custom-bot", "deploy", project) == 0
    assert "unchanged" in cli.out
    assert await cli("custom-bot", "list") == 0
    assert cli.out.splitlines()[1].split()[:4] == ["sma", "1.0.0", "realtime", "python3.11"]
    assert await cli("custom-bot", "show", "sma") == 0
    assert "What to trade." in cli.out

    runner = Runner()
    async with runner.serving(host.settings.state_dir.role_socket("runner")):
        assert await cli("bot", "deploy", file) == 0
        assert cli.err == ""
        bot_id = (await cli.json("bot", "list"))["bots"][0]["id"]
        assert runner.told == [("/wake", bot_id)]
    assert await cli("bot", "list") == 0
    assert cli.out.splitlines()[1].split()[:4] == ["btc", bot_id, "pending", "1.0.0"]
    assert "does not answer" in cli.err
    assert await cli("bot", "disable", "btc") == 0
    assert await cli("bot", "show", bot_id[:6]) == 0
    assert "Enabled:    no" in cli.out
    write(file, instance(symbol="ETH-USD"))
    assert await cli("bot", "update", "btc", file) == 0
    assert (await cli.json("bot", "show", "btc"))["config"]["symbol"] == "ETH-USD"
    assert await cli("bot", "enable", "btc") == 0
    assert await cli("bot", "delete", "btc", "--yes") == 0
    assert (await cli.json("bot", "list"))["bots"] == []


async def test_a_changed_project_needs_a_new_version(
    host: ApiHost, cli: Cli, project: Path
) -> None:
    assert await cli("custom-bot", "deploy", project) == 0
    (project / "main.py").write_text("def main():\n    pass\n")
    assert await cli("custom-bot", "deploy", project) == 4
    assert "raise `version`" in cli.err
    assert len((await cli.json("custom-bot", "list"))["custom_bots"]) == 1


async def test_faults_of_a_project_are_told_by_file_and_key(
    host: ApiHost, cli: Cli, project: Path
) -> None:
    (project / "bot-schema.json").write_text('{"type": 7}')
    (project / "main.py").unlink()
    assert await cli("custom-bot", "deploy", project) == 2
    assert "bot-schema.json" in cli.err
    assert "main.py" in cli.err
    assert "Traceback" not in cli.err


async def test_faults_of_an_instance_are_told_by_their_path_in_the_file(
    host: ApiHost, cli: Cli, project: Path, file: Path
) -> None:
    await cli("custom-bot", "deploy", project)
    write(file, instance(amount=0, symbol=7))
    assert await cli("bot", "deploy", file) == 2
    assert "  - $.symbol" in cli.err
    assert "  - $.amount" in cli.err
    code = project / "main.py"
    assert await cli("bot", "deploy", code) == 2
    assert f"{code} is not usable JSON" in cli.err
    assert await cli("bot", "deploy", file.with_name("missing.json")) == 2
    assert "cannot be read" in cli.err


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["bot", "show", "nobody"], 3, "the0 bot list"),
        (["custom-bot", "show", "nobody"], 3, "nobody"),
        (["bot", "delete", "nobody", "--yes"], 3, "nobody"),
        (["bot", "list", "--token", "wrong"], 5, "--token"),
        (["bot", "list", "--url", "http://127.0.0.1:1"], 7, "the0 local start"),
        (["bot", "nonsense"], 2, "No such command"),
        (["bot", "list", "--nonsense"], 2, "No such option"),
    ],
)
async def test_every_refusal_has_its_exit_code_and_one_clear_text(
    host: ApiHost, cli: Cli, arguments: list[str], code: int, text: str
) -> None:
    assert await cli(*arguments) == code
    assert text in cli.err
    assert cli.out == ""


async def test_nothing_is_deleted_without_a_yes(
    host: ApiHost, cli: Cli, project: Path, file: Path, nobody_to_ask: None
) -> None:
    await cli("custom-bot", "deploy", project)
    await cli("bot", "deploy", file)
    assert await cli("bot", "delete", "btc") == 2
    assert "--yes" in cli.err
    assert len((await cli.json("bot", "list"))["bots"]) == 1


async def test_a_status_is_shown_with_what_to_do(
    host: ApiHost, cli: Cli, project: Path, file: Path
) -> None:
    await cli("custom-bot", "deploy", project)
    await cli("bot", "deploy", file, "--id", "one")
    condition = {
        "type": "StateConflict",
        "reason": "BothChanged",
        "message": "Say which: the0 bot state keep one local|stored\x1b[2J",
        "since": "2026-01-01T00:00:00+00:00",
        "status": True,
    }
    exits = [
        {"at": "2026-01-01T00:00:00+00:00", "reason": "exited", "code": 1, "log_tail": ["boom"]}
    ]
    bots = [{"id": "one", "phase": "backoff", "conditions": [condition], "exits": exits}]
    async with Runner(bots=bots).serving(host.settings.state_dir.role_socket("runner")):
        assert await cli("bot", "show", "one") == 0
        assert "StateConflict (BothChanged)" in cli.out
        assert "keep one local|stored\\x1b[2J" in cli.out
        assert "exited, code 1" in cli.out
        assert "boom" in cli.out
        assert "BTC-USD" not in cli.out


def _process(host: ApiHost, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "THE0_API_URL": host.url, "THE0_API_TOKEN": TOKEN},
    )


async def test_ctrl_c_ends_a_follower_with_130(
    host: ApiHost, cli: Cli, project: Path, file: Path
) -> None:
    await cli("custom-bot", "deploy", project)
    await cli("bot", "deploy", file, "--id", "one")
    spool = host.settings.state_dir.spool / "one"
    spool.mkdir()
    (spool / "20260101.log").write_text('{"timestamp":"T","message":"here"}\n')
    with _process(host, "bot", "logs", "-f", "one") as process:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "T here\n"
        process.send_signal(signal.SIGINT)
        _, error = await asyncio.to_thread(process.communicate)
    assert (process.returncode, error) == (130, "\nInterrupted.\n")


async def test_a_reader_that_has_enough_ends_a_command_quietly(
    host: ApiHost, cli: Cli, project: Path
) -> None:
    await cli("custom-bot", "deploy", project)
    for number in range(30):
        await host.deploy_bot(instance(name="n" * 60), id=f"{'i' * 200}{number}")
    with _process(host, "bot", "list", "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert await asyncio.to_thread(process.stderr.read) == ""
        assert await asyncio.to_thread(process.wait) == 1


async def test_the_logs_of_a_bot_are_printed(
    host: ApiHost, cli: Cli, project: Path, file: Path
) -> None:
    await cli("custom-bot", "deploy", project)
    await cli("bot", "deploy", file, "--id", "one")
    spool = host.settings.state_dir.spool / "one"
    spool.mkdir()
    lines = [f'{{"timestamp":"T","message":"line {n}"}}\n' for n in range(3)]
    (spool / "20260101.log").write_text("".join(lines))
    assert await cli("bot", "logs", "btc", "-n", "2") == 0
    assert cli.out == "T line 1\nT line 2\n"
    assert await cli("bot", "logs", "btc", "-n", "1", "--json") == 0
    assert cli.out == lines[2]
