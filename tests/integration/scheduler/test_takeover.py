"""Schedulers and databases that die, slots that pass meanwhile: once, and with a record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from tests.support.runner import eventually, stays
from tests.support.schedules import Schedules, once_in
from the0.config import bootstrap
from the0.core.schedule_times import run_id
from the0.models import Run, Trigger
from the0.repository import Repository

T = TypeVar("T")
NEVER_SOON = "0 0 1 1 *"


def in_repository(schedules: Schedules, work: Callable[[Repository], Awaitable[T]]) -> T:
    """What `work` gives, done as another scheduler would."""
    settings, _ = bootstrap((), schedules.site.environ)

    async def run() -> T:
        repository = Repository(settings.mongo)
        try:
            return await work(repository)
        finally:
            await repository.close()

    return asyncio.run(run())


def has_spoken(schedules: Schedules, ref: str) -> bool:
    """Whether the bot in this container has its code, and runs."""
    with schedules.site.executor() as executor:
        return any(line.startswith("run ") for line in executor.log_tail(ref, 50))


def claim_of_the_dead(bot_id: str, due_sec_ago: float, **changed: Any) -> Run:
    """A run that a scheduler claimed and then died with."""
    now = datetime.now(UTC).replace(microsecond=0)
    due = now - timedelta(seconds=due_sec_ago)
    fields: dict[str, Any] = {
        "id": run_id(bot_id, due, 1),
        "bot_id": bot_id,
        "slot": due,
        "attempt": 1,
        "trigger": Trigger.SCHEDULE,
        "due": due,
        "deadline": due + timedelta(seconds=60),
        "timeout_sec": 60.0,
        "retries": 0,
        "claimed": due,
        "owner": "a-scheduler-that-died",
        "lease_until": now,
        "host": "elsewhere",
        "launch": "0" * 32,
    }
    return Run(**fields | changed)


def test_a_run_outlives_its_scheduler_and_is_recorded_by_the_next(schedules: Schedules) -> None:
    schedules.site.settings["THE0_SYNC__FINAL_SEC"] = "4"
    schedules.start()
    schedules.put("long", NEVER_SOON, what="hang", stop_grace_sec=5)
    schedules.put("short", NEVER_SOON, seconds=4)
    ids = {bot_id: schedules.run_now(bot_id) for bot_id in ("long", "short")}
    for bot_id in ids:
        schedules.running(bot_id)
    before = schedules.site.running()
    eventually(lambda: all(has_spoken(schedules, ref) for ref in before.values()), "both work")
    schedules.site.kill_host()
    eventually(lambda: "short" not in schedules.site.running(), "the short one ends unseen")
    schedules.start()
    (short,) = schedules.ended("short")
    assert (short["_id"], short["outcome"], short["exit_code"]) == (ids["short"], "succeeded", 0)
    assert schedules.site.running() == {"long": before["long"]}
    eventually(lambda: schedules.ask("/cancel", {"run": ids["long"]})[0] == 202, "it is cancelled")
    (long,) = schedules.ended("long")
    assert (long["_id"], long["outcome"]) == (ids["long"], "cancelled")
    assert not schedules.site.running()


def test_what_was_claimed_and_never_started(schedules: Schedules) -> None:
    schedules.put("early", NEVER_SOON)
    schedules.put("late", NEVER_SOON)
    schedules.put("begun", NEVER_SOON)
    claims = [
        claim_of_the_dead("early", 5),
        claim_of_the_dead("late", 61),
        claim_of_the_dead("begun", 5, started=datetime.now(UTC)),
    ]

    async def claim(repository: Repository) -> None:
        for run in claims:
            assert await repository.claim_run(run)

    in_repository(schedules, claim)
    schedules.start()
    records = {run.bot_id: schedules.ended(run.bot_id)[0] for run in claims}
    assert {bot_id: run["outcome"] for bot_id, run in records.items()} == {
        "early": "succeeded",
        "late": "missed",
        "begun": "lost",
    }
    assert records["early"]["_id"] == claims[0].id
    assert "the0_run_takeovers_total 3.0" in schedules.ask("/metrics")[1]


def test_slots_that_passed_while_no_scheduler_was_there(schedules: Schedules) -> None:
    passed, a_year_ago = once_in(-20), int(time.time()) - 400 * 86400
    schedules.put("skip", passed)
    schedules.put("once", passed, catch_up="once")
    schedules.put("late", passed, catch_up="once", start_deadline_sec=10)
    for bot_id in ("skip", "once", "late"):
        schedules.set(bot_id, next_execution_time=a_year_ago)
    schedules.start()
    outcomes = {
        bot_id: [run["outcome"] for run in schedules.ended(bot_id, 2)]
        for bot_id in ("skip", "once", "late")
    }
    assert outcomes == {
        "skip": ["missed", "missed"],
        "once": ["missed", "succeeded"],
        "late": ["missed", "missed"],
    }
    assert schedules.runs("skip")[0]["reason"] == "no scheduler was there when it was due"
    eventually(lambda: schedules.planned("once") > time.time(), "the next slot is planned")


def test_what_passed_while_a_bot_was_disabled_is_forgotten(schedules: Schedules) -> None:
    schedules.put("off", "*/10 * * * * *", catch_up="once")
    schedules.set("off", enabled="false", next_execution_time=int(time.time()) - 86400)
    schedules.start()
    eventually(lambda: schedules.planned("off") is None, "its plan is taken away")
    enabled_at = datetime.now(UTC)
    schedules.set("off", enabled=True)
    schedules.wake("off")
    (first,) = schedules.ended("off")
    assert first["slot"].replace(tzinfo=UTC) > enabled_at


def test_a_disabled_bot_is_not_started_even_if_nobody_told(schedules: Schedules) -> None:
    schedules.site.settings["THE0_SCHEDULER__REREAD_INTERVAL_SEC"] = "600"
    schedules.start()
    schedules.put("off", once_in(6))
    schedules.wake("off")
    due = datetime.now(UTC) + timedelta(seconds=8)
    schedules.documents.update_one({"id": "off"}, {"$set": {"config.enabled": 0.0}})
    stays(lambda: schedules.runs("off"), (due - datetime.now(UTC)).total_seconds(), "no run")
    assert schedules.runs("off") == []


def test_mongodb_away_over_a_due_time(schedules: Schedules) -> None:
    schedules.start()
    schedules.put("waits", once_in(8))
    schedules.put("short", once_in(8), start_deadline_sec=5)
    schedules.wake(None)
    eventually(lambda: schedules.planned("waits") and schedules.planned("short"), "both planned")
    mongo = schedules.site.services.mongo
    mongo.freeze()
    try:
        time.sleep(16)
    finally:
        mongo.thaw()
    (waits,) = schedules.ended("waits")
    assert (waits["outcome"], waits["attempt"]) == ("succeeded", 1)
    (short,) = schedules.ended("short")
    assert short["outcome"] == "missed"
    assert short["reason"], "what it waited for"


def test_two_writers_of_one_state_are_never_allowed(schedules: Schedules) -> None:
    site = schedules.site
    site.put("same")
    host = site.start_host("runner")
    eventually(lambda: "same" in site.running(), "the realtime bot runs")
    schedules.start()
    schedules.put("same", NEVER_SOON)
    schedules.run_now("same")
    (record,) = schedules.ended("same")
    assert record["outcome"] == "skipped"
    assert "realtime bot 'same'" in record["reason"]
    assert host.poll() is None
