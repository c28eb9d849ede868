"""Runs of a whole scheduler with real containers: how they end, and what is recorded."""

from __future__ import annotations

import re
from typing import Any

from tests.support.faults import stored_state
from tests.support.runner import eventually
from tests.support.schedules import Schedules, once_in

NEVER_SOON = "0 0 1 1 *"

ENDINGS: dict[str, dict[str, Any]] = {
    "ends": {},
    "fails": {"what": "fail"},
    "starves": {"what": "memory", "resources": {"memory_mb": 64}},
    "hangs": {"what": "hang", "timeout_sec": 8, "stop_grace_sec": 5},
    "deaf": {"what": "deaf", "timeout_sec": 8, "stop_grace_sec": 1},
    "talks": {"what": "print", "kib": 100 * 1024},
}


def state_runs(schedules: Schedules, bot_id: str) -> list[str]:
    """The run ids that the bot wrote into its state, as the store has it."""
    return stored_state(schedules.site, bot_id).get("runs", "").split()


def test_a_due_bot_runs_once_with_its_record(schedules: Schedules) -> None:
    schedules.start()
    schedules.put("daily", "*/5 * * * * *")
    schedules.wake("daily")
    first, second = schedules.ended("daily", 2)
    assert (first["outcome"], first["exit_code"], first["reason"]) == ("succeeded", 0, "")
    assert first["result"] == {"status": "success", "answer": 42, "bot": "daily"}
    assert (second["slot"] - first["slot"]).total_seconds() == 5
    assert first["due"] <= first["claimed"] <= first["started"] <= first["ended"]
    assert (first["attempt"], first["trigger"], first["version"]) == (1, "schedule", "1.0.0")
    assert first["peak_memory_bytes"] > 1 << 20
    assert schedules.planned("daily") > second["slot"].timestamp()
    assert "active" not in first
    lag = re.search(r"the0_schedule_lag_seconds_count (\S+)", schedules.ask("/metrics")[1])
    assert lag is not None
    assert float(lag[1]) >= 2


def test_every_end_has_its_outcome(schedules: Schedules) -> None:
    schedules.start()
    for bot_id, config in ENDINGS.items():
        schedules.put(bot_id, NEVER_SOON, **config)
        schedules.run_now(bot_id)
    records = {bot_id: schedules.ended(bot_id)[0] for bot_id in ENDINGS}
    outcomes = {bot_id: (run["outcome"], run["exit_code"]) for bot_id, run in records.items()}
    assert outcomes == {
        "ends": ("succeeded", 0),
        "fails": ("failed", 1),
        "starves": ("failed", 137),
        "hangs": ("timed_out", 143),
        "deaf": ("timed_out", 137),
        "talks": ("succeeded", 0),
    }
    assert records["starves"]["oom_killed"]
    assert "memory" in records["starves"]["reason"]
    assert any("boom" in line for line in records["fails"]["log_tail"])
    assert records["ends"]["log_tail"] == []


def test_a_failed_run_is_tried_again_under_another_id(schedules: Schedules) -> None:
    schedules.site.settings["THE0_SCHEDULER__RETRY_INITIAL_SEC"] = "0.5"
    schedules.start()
    schedules.put("fails", once_in(4), what="fail", retries=2)
    schedules.wake("fails")
    runs = schedules.ended("fails", 3)
    assert [(run["attempt"], run["trigger"], run["outcome"]) for run in runs] == [
        (1, "schedule", "failed"),
        (2, "retry", "failed"),
        (3, "retry", "failed"),
    ]
    assert len({run["slot"] for run in runs}) == 1
    assert len({run["_id"] for run in runs}) == 3
    eventually(
        lambda: "the0_schedule_failing_warnings_total 1.0" in schedules.ask("/metrics")[1],
        "a warning after three failures in a row",
    )


def test_run_now_and_cancel(schedules: Schedules) -> None:
    schedules.start()
    schedules.put("asked", NEVER_SOON, what="hang", stop_grace_sec=5)
    schedules.wake("asked")
    run = schedules.run_now("asked")
    schedules.running("asked")
    status, body = schedules.ask("/run-now", {"bot_id": "asked"})
    assert (status, body["error"]["code"]) == (409, "conflict")
    assert run in body["error"]["message"]
    assert schedules.ask("/cancel", {"run": run})[0] == 202
    (record,) = schedules.ended("asked")
    assert (record["outcome"], record["trigger"]) == ("cancelled", "manual")
    assert record["reason"] == "a person cancelled it"
    assert schedules.ask("/cancel", {"run": run})[0] == 409
    assert schedules.ask("/cancel", {"run": "0" * 32})[0] == 404
    assert schedules.ask("/run-now", {"bot_id": "nobody"})[0] == 404
    schedules.set("asked", enabled="false")
    assert schedules.ask("/run-now", {"bot_id": "asked"})[0] == 409


def test_state_lasts_from_run_to_run_and_holds_their_ids(schedules: Schedules) -> None:
    schedules.start()
    schedules.put("keeps", NEVER_SOON)
    ids = []
    for count in (1, 2):
        ids.append(schedules.run_now("keeps"))
        schedules.ended("keeps", count)
    assert state_runs(schedules, "keeps") == ids


def test_a_slot_is_skipped_while_a_run_goes_on(schedules: Schedules) -> None:
    schedules.start()
    schedules.put("long", "*/3 * * * * *", what="hang", stop_grace_sec=0)
    schedules.wake("long")
    skipped = schedules.ended("long")[0]
    first = schedules.runs("long")[0]
    assert skipped["outcome"] == "skipped"
    assert skipped["reason"] == f"the run {first['_id']} of the same bot was still going on"
    assert first["outcome"] is None


def test_a_slot_replaces_the_run_that_goes_on(schedules: Schedules) -> None:
    schedules.start()
    schedules.put("long", NEVER_SOON, what="hang", concurrency="replace", stop_grace_sec=5)
    schedules.run_now("long")
    schedules.running("long")
    newer = schedules.run_now("long")
    (first,) = schedules.ended("long")
    assert first["outcome"] == "cancelled"
    assert first["reason"].startswith("replaced by the run of ")
    assert schedules.running("long")["_id"] == newer


def test_a_run_that_cannot_begin_fails_by_its_deadline(schedules: Schedules) -> None:
    schedules.start()
    schedules.put("codeless", once_in(4), start_deadline_sec=5, stop_grace_sec=0)
    schedules.set("codeless", **{"custom.filePath": "user/nothing/1.0.0"})
    schedules.wake("codeless")
    (record,) = schedules.ended("codeless")
    assert (record["outcome"], record["exit_code"]) == ("failed", None)
    assert "user/nothing/1.0.0" in record["reason"]


def test_the_run_of_a_deleted_bot_ends(schedules: Schedules) -> None:
    schedules.start()
    schedules.put("gone", NEVER_SOON, what="hang", stop_grace_sec=5)
    schedules.wake("gone")
    schedules.run_now("gone")
    schedules.running("gone")
    schedules.documents.delete_one({"id": "gone"})
    schedules.wake("gone")
    (record,) = schedules.ended("gone")
    assert (record["outcome"], record["reason"]) == ("cancelled", "the bot was deleted")


def test_schedules_that_cannot_be_are_set_aside(schedules: Schedules) -> None:
    schedules.put("wrong", "61 * * * *")
    schedules.put("never", "0 0 30 2 *")
    schedules.put("nowhere", "* * * * *", timezone="Mars/Olympus")
    schedules.put("right", NEVER_SOON, timezone="Europe/Berlin")
    schedules.start()
    bots = {bot["id"]: bot for bot in schedules.ask("/status")[1]["bots"]}
    assert {bot_id: bot["phase"] for bot_id, bot in bots.items()} == {
        "wrong": "invalid",
        "never": "invalid",
        "nowhere": "invalid",
        "right": "waiting",
    }
    assert "never fires" in bots["never"]["conditions"][0]["message"]
    assert "Mars/Olympus" in bots["nowhere"]["conditions"][0]["message"]
    assert bots["right"]["next_due"].endswith("12-31T23:00:00+00:00")
