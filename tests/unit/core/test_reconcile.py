from __future__ import annotations

from datetime import UTC, datetime

from the0.core.reconcile import PassReport


def test_the_last_pass_is_shown_with_its_time_in_iso_8601() -> None:
    report = PassReport(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), 0.5, 0.1, 3, 2, 1)
    assert report.as_json() == {
        "ended_at": "2026-01-02T03:04:05+00:00",
        "seconds": 0.5,
        "cpu_seconds": 0.1,
        "bots": 3,
        "containers": 2,
        "steps": 1,
        "fault": "",
    }
