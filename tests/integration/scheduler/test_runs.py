"""Runs of a whole scheduler with real containers: on time, once, with a record."""

from __future__ import annotations

from tests.support.schedules import Schedules


def test_a_due_bot_runs_once_with_its_record(schedules: Schedules) -> None:
    schedules.start()
    schedules.put("daily", "*/5 * * * * *")
    schedules.wake("daily")
    first, second = schedules.ended("daily", 2)
    assert (first["outcome"], first["exit_code"], first["reason"]) == ("succeeded", 0, "")
    assert first["result"]["answer"] == 42
    assert (second["slot"] - first["slot"]).total_seconds() == 5
    assert first["due"] <= first["claimed"] <= first["started"] <= first["ended"]
    assert (first["attempt"], first["trigger"], first["version"]) == (1, "schedule", "1.0.0")
    assert first["peak_memory_bytes"] > 1 << 20
    assert schedules.planned("daily") > second["slot"].timestamp()
    assert "active" not in first
