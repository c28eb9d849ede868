"""Scheduled bots and their runs over the control API, with real MongoDB protocol and storage."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.api import RUN_ID, ApiHost, Scheduler, api_host, instance
from tests.support.runs import NINE, SECOND, a_run
from the0.core.views import run_json
from the0.errors import Conflict, NotFound
from the0.models import BotType, Outcome
from the0.storage.log_lines import timestamp
from the0.storage.logs import LogStore
from the0.testing.servers import S3Server, Server

BOTS = "/api/v1/bots"
RUNS = "/api/v1/runs"


def scheduled(**changed: Any) -> dict[str, Any]:
    return instance(**{"type": "scheduled/sma", "schedule": "0 9 * * 1-5", **changed})


@pytest_asyncio.fixture
async def host(tmp_path: Path, mongod: Server, object_store: S3Server) -> AsyncIterator[ApiHost]:
    async with api_host(tmp_path, mongod, object_store) as found:
        await found.deploy_code(type="scheduled")
        yield found


@pytest_asyncio.fixture
async def scheduler(host: ApiHost) -> AsyncIterator[Scheduler]:
    found = Scheduler(refused={"gone": NotFound("no such bot"), "off": Conflict("disabled")})
    async with found.serving(host.settings.state_dir.role_socket("scheduler")):
        yield found


async def test_a_scheduled_bot_goes_to_its_own_collection_and_its_own_role(
    host: ApiHost, scheduler: Scheduler
) -> None:
    answer = await host.deploy_bot(scheduled(timezone="Europe/Berlin", jitter_sec=30), id="one")
    assert (answer.status_code, answer.json()["applies"]) == (201, "at once")
    assert await host.repository.get_bot(BotType.SCHEDULED, "one") is not None
    assert await host.repository.get_bot(BotType.REALTIME, "one") is None
    update = await host.http.put(f"{BOTS}/one", json={"config": scheduled(schedule="@hourly")})
    assert update.status_code == 200
    assert (await host.http.post(f"{BOTS}/one/enable")).status_code == 200
    assert (await host.http.delete(f"{BOTS}/one")).status_code == 200
    assert scheduler.told == [("/wake", "one")] * 4


async def test_an_update_moves_no_plan_back_that_the_scheduler_moves_meanwhile(
    host: ApiHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    await host.deploy_bot(scheduled(), id="one")
    repository = host.repository
    await repository.plan_bot("one", NINE)
    read = repository.get_bot

    async def read_before_the_scheduler_writes(kind: BotType, bot_id: str) -> Any:
        document = await read(kind, bot_id)
        await repository.plan_bot(bot_id, NINE + SECOND)
        return document

    monkeypatch.setattr(repository, "get_bot", read_before_the_scheduler_writes)
    update = await host.http.put(f"{BOTS}/one", json={"config": scheduled(symbol="ETH-USD")})
    assert update.status_code == 200
    stored = await read(BotType.SCHEDULED, "one") or {}
    assert stored["next_execution_time"] == int((NINE + SECOND).timestamp())
    assert stored["config"]["symbol"] == "ETH-USD"


@pytest.mark.parametrize(
    ("changed", "path", "text"),
    [
        ({"schedule": "0 0 30 2 *"}, "config.schedule", "never fires"),
        ({"schedule": "61 * * * *"}, "config.schedule", "minute from 0 to 59"),
        ({"schedule": None}, "config.schedule", "0 8 * * *"),
        ({"timezone": "Mars/Olympus"}, "config.schedule", "Mars/Olympus"),
        ({"concurrency": "both"}, "config.concurrency", "forbid"),
        ({"catch_up": "all"}, "config.catch_up", "once"),
        ({"timeout_sec": 0}, "config.timeout_sec", "1"),
        ({"retries": -1}, "config.retries", "0"),
        ({"jitter_sec": "soon"}, "config.jitter_sec", "jitter_sec"),
    ],
)
async def test_a_schedule_that_is_wrong_is_refused_at_deploy_and_update(
    host: ApiHost, changed: dict[str, Any], path: str, text: str
) -> None:
    assert (await host.deploy_bot(scheduled(), id="one")).status_code == 201
    config = {key: value for key, value in scheduled(**changed).items() if value is not None}
    for answer in (
        await host.deploy_bot(config, id="two"),
        await host.http.put(f"{BOTS}/one", json={"config": config}),
    ):
        assert answer.status_code in (400, 422)
        error = answer.json()["error"]
        assert any(path in fault and text in fault for fault in error["faults"]), error
    assert len((await host.http.get(BOTS)).json()["bots"]) == 1


async def test_scheduled_bots_are_listed_with_their_next_slot_and_last_run(
    host: ApiHost, scheduler: Scheduler
) -> None:
    await host.deploy_bot(scheduled(), id="one")
    await host.repository.record_runs([a_run(n) for n in range(7)])
    entry = {
        "id": "one",
        "name": "btc",
        "enabled": True,
        "phase": "waiting",
        "next_due": "2026-02-02T09:00:00+00:00",
        "running": None,
        "last_run": run_json(a_run(6)),
        "conditions": [],
    }
    going = {**entry, "id": "gone", "running": RUN_ID, "enabled": False, "phase": "running"}
    scheduler.bots = [entry, going]
    listed = (await host.http.get(BOTS)).json()
    assert (listed["live"], listed["silent"]) == (True, [])
    by_id = {bot["id"]: bot for bot in listed["bots"]}
    assert by_id["one"]["status"]["phase"] == "waiting"
    assert by_id["one"]["status"]["last_run"]["outcome"] == "succeeded"
    assert (by_id["gone"]["type"], by_id["gone"]["status"]["phase"]) == ("scheduled", "running")
    shown = (await host.http.get(f"{BOTS}/one")).json()
    assert [run["id"] for run in shown["runs"]] == [f"one-{n}" for n in (6, 5, 4, 3, 2)]


async def test_while_the_scheduler_is_silent_what_is_stored_is_shown(host: ApiHost) -> None:
    await host.deploy_bot(scheduled(), id="one")
    await host.deploy_bot(scheduled(), id="off", enabled=False)
    await host.repository.plan_bot("one", NINE)
    broken = {"id": "broken", "config": {"name": "b", "schedule": "never"}, "custom": {}}
    await host.repository.upsert_bot(BotType.SCHEDULED, broken)
    listed = (await host.http.get(BOTS)).json()
    assert (listed["live"], listed["silent"]) == (False, ["scheduler"])
    status = {bot["id"]: bot["status"] for bot in listed["bots"]}
    assert (status["one"]["phase"], status["one"]["next_due"]) == ("waiting", NINE.isoformat())
    assert status["off"]["phase"] == "disabled"
    assert status["broken"] is None
    active = a_run(1, outcome=None, ended=None, lease_until=NINE, owner="me")
    assert await host.repository.claim_run(active)
    shown = (await host.http.get(f"{BOTS}/one")).json()
    assert (shown["status"]["phase"], shown["status"]["running"]) == ("running", "one-1")


async def test_runs_are_listed_by_bot_and_time_the_newest_first(host: ApiHost) -> None:
    runs = [*(a_run(n) for n in range(4)), *(a_run(n, "two") for n in range(2))]
    await host.repository.record_runs(runs)

    async def ids(**query: Any) -> list[str]:
        answer = await host.http.get(RUNS, params=query)
        assert answer.status_code == 200, answer.text
        return [run["id"] for run in answer.json()["runs"]]

    assert await ids(bot="one") == ["one-3", "one-2", "one-1", "one-0"]
    assert await ids(bot="one", limit=2) == ["one-3", "one-2"]
    assert await ids(bot="one", before="2026-01-31T09:02:00Z") == ["one-1", "one-0"]
    assert await ids(bot="nobody") == []
    assert len(await ids()) == 6
    assert (await host.http.get(RUNS, params={"limit": 0})).status_code == 400
    assert (await host.http.get(RUNS, params={"before": "noon"})).status_code == 400


async def test_pages_of_runs_leave_out_none_of_one_slot(host: ApiHost) -> None:
    runs = [a_run(minute, bot_id) for minute in range(2) for bot_id in ("one", "two", "three")]
    runs.append(a_run(0, "one", id="one-again", attempt=2))
    await host.repository.record_runs(runs)
    every = [run.id for run in await host.repository.list_runs()]
    assert len(every) == len(runs)

    async def page(last: str) -> list[str]:
        answer = await host.http.get(
            RUNS, params={"limit": "2", **({"after": last} if last else {})}
        )
        return [run["id"] for run in answer.json()["runs"]]

    seen = await page("")
    while more := await page(seen[-1]):
        seen += more
    assert seen == every
    assert (await host.http.get(RUNS, params={"after": "nothing"})).status_code == 404


async def test_one_run_is_shown_whole(host: ApiHost) -> None:
    run = a_run(0, outcome=Outcome.FAILED, exit_code=137, oom_killed=True, reason="killed")
    await host.repository.record_runs([run])
    shown = await host.http.get(f"{RUNS}/one-0")
    assert shown.status_code == 200
    assert shown.json() == run_json(run)
    missing = await host.http.get(f"{RUNS}/nothing")
    assert missing.status_code == 404
    assert "the0 runs list" in missing.json()["error"]["message"]


async def test_the_logs_of_a_run_are_its_own(host: ApiHost) -> None:
    lines = [
        f'{{"timestamp":"{timestamp(NINE + n * SECOND)}","message":"line {n}"}}' for n in range(6)
    ]
    content = "".join(f"{line}\n" for line in lines).encode()
    store = LogStore(host.storage, host.settings.storage.logs_bucket)
    store.put("logged", "20260131", io.BytesIO(content), len(content))
    runs = [
        a_run(0, "logged"),
        a_run(1, "logged", started=None, outcome=Outcome.SKIPPED, reason="the last one goes on"),
    ]
    await host.repository.record_runs(runs)
    answer = await host.http.get(f"{RUNS}/logged-0/logs")
    assert answer.text.splitlines() == lines[1:4]
    last = await host.http.get(f"{RUNS}/logged-0/logs", params={"lines": 1})
    assert last.text.splitlines() == lines[3:4]
    skipped = await host.http.get(f"{RUNS}/logged-1/logs")
    assert skipped.status_code == 404
    assert "the last one goes on" in skipped.json()["error"]["message"]


async def test_run_now_and_cancel_are_the_schedulers_to_answer(
    host: ApiHost, scheduler: Scheduler
) -> None:
    done = await host.http.post(f"{BOTS}/a%2Fb/run-now")
    assert (done.status_code, done.json()) == (202, {"run": RUN_ID})
    assert (await host.http.post(f"{RUNS}/{RUN_ID}/cancel")).status_code == 202
    assert scheduler.told == [("/run-now", "a/b"), ("/cancel", RUN_ID)]
    assert (await host.http.post(f"{BOTS}/gone/run-now")).status_code == 404
    refused = await host.http.post(f"{BOTS}/off/run-now")
    assert (refused.status_code, refused.json()["error"]["message"]) == (409, "disabled")


async def test_without_a_scheduler_a_command_says_how_to_start_it(host: ApiHost) -> None:
    answer = await host.http.post(f"{BOTS}/one/run-now")
    assert answer.status_code == 503
    assert "the0-host --role scheduler" in answer.json()["error"]["message"]


async def test_disabling_ends_the_running_run_by_choice_only(
    host: ApiHost, scheduler: Scheduler
) -> None:
    await host.deploy_bot(scheduled(), id="one")
    active = a_run(1, outcome=None, ended=None, lease_until=NINE, owner="me")
    assert await host.repository.claim_run(active)
    scheduler.told.clear()
    assert (await host.http.post(f"{BOTS}/one/disable")).status_code == 200
    assert scheduler.told == [("/wake", "one")]
    stopping = await host.http.post(f"{BOTS}/one/disable", params={"stop_running": "true"})
    assert stopping.status_code == 200
    assert scheduler.told[1:] == [("/wake", "one"), ("/cancel", "one-1")]
