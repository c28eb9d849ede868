"""How commands print."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.cli.bot_logs import text_of
from the0.cli.bot_show import exit_text, phase, row
from the0.cli.output import duration, since, table

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (-5, "0s"),
        (59.4, "59s"),
        (60, "1m"),
        (185, "3m 5s"),
        (7800, "2h 10m"),
        (86400 * 4 + 3 * 3600 + 59, "4d 3h"),
        (86400, "1d"),
        (86400 * 400, "400d"),
    ],
)
def test_durations_show_their_two_largest_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_times_are_read_with_and_without_an_offset() -> None:
    assert since((NOW - timedelta(seconds=90)).isoformat(), NOW) == "1m 30s"
    assert since("2026-01-02T03:03:05", NOW) == "1m"
    assert since(None, NOW) == "-"


def test_tables_align_also_wide_characters() -> None:
    assert table(["A", "BEE"], [["漢字", "x"], ["y", ""]]) == ["A     BEE", "漢字  x", "y"]


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2)))
def test_nothing_in_a_cell_breaks_a_table(rows: list[list[str]]) -> None:
    lines = table(["A", "B"], rows)
    assert len(lines) == len(rows) + 1
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('{"timestamp":"T","message":"hello"}', "T hello"),
        ('{"timestamp":"T","message":"m","level":"INFO","n":1}', "T m level=INFO n=1"),
        ('{"timestamp":"T","_metric":"pnl","value":2.5}', "T _metric=pnl value=2.5"),
        ('{"message":"no time"}', '{"message":"no time"}'),
        ("no json", "no json"),
        ("[1]", "[1]"),
        ('{"timestamp":1,"message":null}', "1 None"),
    ],
)
def test_log_lines_are_readable_and_none_is_lost(line: str, shown: str) -> None:
    assert text_of(line) == shown


def bot(status: dict[str, object] | None, *, enabled: bool = True) -> dict[str, object]:
    return {
        "id": "i",
        "name": "n",
        "type": "realtime",
        "version": "1.0.0",
        "enabled": enabled,
        "status": status,
    }


def test_a_bot_that_the_runner_has_not_seen_has_the_phase_of_its_document() -> None:
    assert phase(bot(None)) == "pending"
    assert phase(bot(None, enabled=False)) == "disabled"
    assert row(bot(None), NOW) == ["n", "i", "pending", "1.0.0", "-", "0", "-"]


def test_a_row_shows_what_holds_and_leaves_out_what_is_over() -> None:
    status = {
        "phase": "running",
        "started_at": (NOW - timedelta(hours=1)).isoformat(),
        "restarts": 2,
        "outdated": True,
        "conditions": [
            {"type": "StateNotSaved", "status": True},
            {"type": "LogsDropped", "status": False},
        ],
    }
    assert row(bot(status), NOW)[4:] == ["1h", "2", "StateNotSaved, outdated"]


def test_beside_scheduled_bots_a_row_has_what_is_due_and_how_the_last_run_ended() -> None:
    due = (NOW + timedelta(minutes=3)).isoformat()
    last = {"outcome": "timed_out", "started": due}
    scheduled = {
        **bot({"phase": "waiting", "next_due": due, "last_run": last}),
        "type": "scheduled",
    }
    assert row(scheduled, NOW, with_due=True)[4:] == ["-", "-", "in 3m", "timed_out", "-"]
    assert row(bot(None), NOW, with_due=True)[4:] == ["-", "0", "-", "-", "-"]


def test_an_exit_tells_all_that_is_known() -> None:
    record = {
        "reason": "exited",
        "code": 137,
        "signal": 9,
        "oom_killed": True,
        "peak_memory_bytes": 512 << 20,
        "asked_by": "",
    }
    assert exit_text(record) == "exited, code 137, signal 9, out of memory, peak 512 MiB"
    assert exit_text({"code": 0, "asked_by": "user"}) == "ended, code 0, asked for: user"
