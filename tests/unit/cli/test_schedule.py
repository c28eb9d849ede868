"""`the0 schedule preview`, which needs no host."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from the0.cli.main import run

PREVIEW = ["schedule", "preview"]


def test_the_next_fires_on_the_wall_clock_of_the_zone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = datetime.now(UTC)
    arguments = [*PREVIEW, "0 9 * * 1-5", "--timezone", "America/New_York", "-n", "20"]
    assert run(arguments) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["America/New_York", "UTC", "IN"]
    assert len(rows) == 20
    assert all(" 09:00:00 -0" in row for row in rows)
    assert not any(row.startswith(("Sat", "Sun")) for row in rows)

    assert run([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["expression"], found["timezone"]) == ("0 9 * * 1-5", "America/New_York")
    times = [datetime.fromisoformat(due) for due in found["fires"]]
    assert len(times) == 20
    assert times == sorted(times)
    assert times[0] > before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["0 0 30 2 *"], "never fires"),
        (["0 9 * *"], "4 fields"),
        (["61 * * * *"], "'61' is no minute from 0 to 59"),
        (["@fortnightly"], "@every <duration>"),
        (["0 9 * * *", "--timezone", "Mars/Olympus"], "Mars/Olympus"),
        (["0 9 * * *", "-n", "0"], "-n"),
        ([], "EXPRESSION"),
    ],
)
def test_what_is_no_schedule_is_refused_by_name(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*PREVIEW, *arguments]) == 2
    captured = capsys.readouterr()
    assert text in captured.err
    assert captured.out == ""
