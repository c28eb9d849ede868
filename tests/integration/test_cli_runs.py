"""`the0 runs`, `the0 bot run-now` and scheduled bots in `the0 bot`, against a real control API."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.api import RUN_ID, TOKEN, ApiHost, Scheduler, api_host, instance
from tests.support.cli import Cli
from tests.support.runs import NINE, SECOND, a_run
from the0.core.views import run_json
from the0.errors import Conflict
from the0.models import Outcome, Run
from the0.storage.logs import LogStore
from the0.testing.servers import S3Server, Server


@pytest_asyncio.fixture
async def host(
    tmp_path: Path, mongod: Server, object_store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ApiHost]:
    async with api_host(tmp_path / "state", mongod, object_store) as found:
        monkeypatch.setenv("THE0_API_URL", found.url)
        monkeypatch.setenv("THE0_API_TOKEN", TOKEN)
        await found.deploy_code(type="scheduled")
        await found.deploy_bot(instance(type="scheduled/sma", schedule="@daily"), id="one")
        yield found


@pytest_asyncio.fixture
async def scheduler(host: ApiHost) -> AsyncIterator[Scheduler]:
    found = Scheduler()
    async with found.serving(host.settings.state_dir.role_socket("scheduler")):
        yield found


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


def failed(**changed: Any) -> Run:
    """The nine o'clock run of the bot `one`, which failed after a second."""
    return a_run(
        **{
            "id": RUN_ID,
            "ended": NINE + 2 * SECOND,
            "outcome": Outcome.FAILED,
            "exit_code": 1,
            "reason": "exit code 1",
            "result": {"status": "error", "message": "no price"},
            "log_tail": ['{"timestamp":"T","message":"no price\\u001b[2J"}'],
            **changed,
        }
    )


async def test_runs_are_listed_and_shown(host: ApiHost, cli: Cli) -> None:
    skipped = failed(
        id="f" * 32,
        slot=NINE + 60 * SECOND,
        outcome=Outcome.SKIPPED,
        started=None,
        exit_code=None,
        reason="the run before goes on",
    )
    await host.repository.record_runs([failed(), skipped])
    assert await cli("runs", "list", "btc") == 0
    head, *rows = (line.split() for line in cli.out.splitlines())
    assert head[:4] == ["RUN", "BOT", "SLOT", "TRY"]
    assert [row[0] for row in rows] == ["f" * 32, RUN_ID]
    assert rows[0][2:8] == ["2026-01-31", "09:01:00", "1", "skipped", "-", "-"]
    assert rows[1][2:8] == ["2026-01-31", "09:00:00", "1", "failed", "1.0s", "1"]
    assert [run["id"] for run in (await cli.json("runs", "list", "-n", 1))["runs"]] == ["f" * 32]
    assert await cli("runs", "list", "nobody") == 0
    assert "no run yet" in cli.err

    assert await cli("runs", "show", RUN_ID) == 0
    assert "Reason:    exit code 1" in cli.out
    assert '"message": "no price"' in cli.out
    assert "no price\\x1b[2J" in cli.out
    assert (await cli.json("runs", "show", RUN_ID))["outcome"] == "failed"
    assert await cli("runs", "show", "nothing") == 3
    assert "the0 runs list" in cli.err


async def test_the_logs_of_failed(host: ApiHost, cli: Cli) -> None:
    bot_id = f"logs-{host.settings.api.port}"
    await host.repository.record_runs([failed(bot_id=bot_id)])
    line = '{"timestamp":"2026-01-31T09:00:01.5Z","message":"here"}\n'
    store = LogStore(host.storage, host.settings.storage.logs_bucket)
    store.put(bot_id, "20260131", io.BytesIO(line.encode()), len(line))
    assert await cli("runs", "logs", RUN_ID) == 0
    assert cli.out == "2026-01-31T09:00:01.5Z here\n"
    assert await cli("runs", "logs", RUN_ID, "--json") == 0
    assert cli.out == line


async def test_a_run_is_cancelled(host: ApiHost, cli: Cli, scheduler: Scheduler) -> None:
    scheduler.refused["ended"] = Conflict("The run ended already.")
    assert await cli("runs", "cancel", RUN_ID) == 0
    assert scheduler.told == [("/cancel", RUN_ID)]
    assert await cli("runs", "cancel", "ended") == 4
    assert "ended already" in cli.err


async def test_run_now_without_waiting_tells_the_run(
    host: ApiHost, cli: Cli, scheduler: Scheduler
) -> None:
    assert await cli("bot", "run-now", "btc") == 0
    assert RUN_ID in cli.out
    assert scheduler.told == [("/run-now", "one")]
    assert await cli.json("bot", "run-now", "one") == {"run": RUN_ID}


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome.SUCCEEDED, 0),
        (Outcome.FAILED, 1),
        (Outcome.LOST, 1),
        (Outcome.SKIPPED, 4),
        (Outcome.MISSED, 4),
        (Outcome.TIMED_OUT, 8),
        (Outcome.CANCELLED, 130),
    ],
)
async def test_who_waits_for_a_run_learns_its_outcome_by_the_exit_code(
    host: ApiHost, cli: Cli, scheduler: Scheduler, outcome: Outcome, code: int
) -> None:
    going = failed(outcome=None, ended=None, exit_code=None, reason="", result=None, owner="me")
    assert await host.repository.claim_run(going)
    waiting = asyncio.create_task(cli("bot", "run-now", "one", "--wait", "--json"))
    await scheduler.commanded.wait()
    assert await host.repository.finish_run(failed(outcome=outcome, owner="me"))
    assert await waiting == code
    assert json.loads(cli.out)["outcome"] == outcome


async def test_scheduled_bots_are_listed_and_shown_with_what_is_due(
    host: ApiHost, cli: Cli, scheduler: Scheduler
) -> None:
    due = datetime.now(UTC) + timedelta(minutes=5, seconds=30)
    await host.repository.record_runs([failed()])
    scheduler.bots = [
        {
            "id": "one",
            "name": "btc",
            "enabled": True,
            "phase": "waiting",
            "schedule": "@daily",
            "timezone": "UTC",
            "next_due": due.isoformat(),
            "running": None,
            "last_run": run_json(failed()),
            "conditions": [],
        }
    ]
    assert await cli("bot", "list") == 0
    assert cli.err == ""
    row = cli.out.splitlines()[1].split()
    assert row == ["btc", "one", "waiting", "1.0.0", "-", "-", "in", "5m", row[8], "failed", "-"]
    assert await cli("bot", "show", "btc") == 0
    for fact in ("@daily (UTC)", "Runs, newest first:", RUN_ID):
        assert fact in cli.out


async def test_a_silent_scheduler_is_named(host: ApiHost, cli: Cli) -> None:
    assert await cli("bot", "list") == 0
    assert "The scheduler does not answer" in cli.err
    assert await cli("bot", "disable", "btc", "--stop-running") == 0
    assert "The scheduler does not answer" in cli.err
    assert await cli("bot", "run-now", "btc") == 7
    assert "the0-host --role scheduler" in cli.err


async def test_a_wrong_schedule_is_told_by_its_path_in_the_file(
    host: ApiHost, cli: Cli, tmp_path: Path
) -> None:
    file = tmp_path / "bot.json"
    file.write_text(json.dumps(instance(type="scheduled/sma", schedule="0 0 31 2 *")))
    assert await cli("bot", "deploy", file) == 2
    assert "$.schedule: The schedule '0 0 31 2 *' never fires." in cli.err
