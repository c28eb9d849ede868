"""How a run of a scheduled bot looks to a person."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from the0.cli.bot_logs import text_of
from the0.cli.output import duration, facts, print_table, read_time
from the0.text import printable

RUN_HEADERS = ["RUN", "BOT", "SLOT", "TRY", "OUTCOME", "TOOK", "EXIT", "REASON"]
EXIT_CODES = {
    "succeeded": 0,
    "failed": 1,
    "lost": 1,
    "skipped": 4,
    "missed": 4,
    "timed_out": 8,
    "cancelled": 130,
}
"""What a command that waits for a run ends with, by the run's outcome."""

SHORT_SEC = 10
"""Below, a duration is shown with a tenth."""

Run = Mapping[str, Any]


def outcome(run: Run) -> str:
    """Its outcome, or how far it is."""
    return str(run["outcome"] or ("running" if run.get("started") else "starting"))


def print_runs(runs: Sequence[Run]) -> None:
    """A table of runs on stdout."""
    now = datetime.now(UTC)
    print_table(RUN_HEADERS, [_row(run, now) for run in runs])


def print_run(run: Run) -> None:
    """One run in full on stdout."""
    now = datetime.now(UTC)
    facts(_facts(run, now))
    conditions = [one for one in run.get("conditions") or () if one.get("status", True)]
    if conditions:
        click.echo("\nConditions:")
    for one in conditions:
        click.echo(f"  {one['type']} ({one['reason']})")
        click.echo(f"    {printable(one['message'], 1000)}")
    tail = run.get("log_tail") or ()
    if tail:
        click.echo("\nLast lines:")
    for line in tail:
        click.echo(f"  {printable(text_of(line), 500)}")


def utc_time(text: str | None) -> str:
    """A time of the API, to the second, in UTC."""
    time = read_time(text)
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if time else ""


def _row(run: Run, now: datetime) -> list[str]:
    code = run.get("exit_code")
    return [
        run["id"],
        run["bot_id"],
        utc_time(run["slot"]),
        str(run["attempt"]),
        outcome(run),
        _took(run, now) or "-",
        "-" if code is None else str(code),
        _why(run),
    ]


def _facts(run: Run, now: datetime) -> list[tuple[str, str]]:
    peak, code, result = run.get("peak_memory_bytes"), run.get("exit_code"), run.get("result")
    return [
        ("Run", run["id"]),
        ("Bot", run["bot_id"]),
        ("Slot", f"{utc_time(run['slot'])} UTC"),
        ("Trigger", run["trigger"]),
        ("Attempt", str(run["attempt"])),
        ("Outcome", outcome(run)),
        ("Reason", run.get("reason") or ""),
        ("Due", utc_time(run.get("due"))),
        ("Claimed", utc_time(run.get("claimed"))),
        ("Started", utc_time(run.get("started"))),
        ("Ended", utc_time(run.get("ended"))),
        ("Took", _took(run, now)),
        ("Exit code", "" if code is None else str(code)),
        ("Out of memory", "yes" if run.get("oom_killed") else ""),
        ("Peak memory", f"{peak / (1 << 20):.0f} MiB" if peak else ""),
        ("Version", run.get("version") or ""),
        ("Host", run.get("host") or ""),
        ("Result", "" if result is None else json.dumps(result, ensure_ascii=False)),
    ]


def _took(run: Run, now: datetime) -> str:
    started, ended = read_time(run.get("started")), read_time(run.get("ended"))
    if started is None or (ended is None and run["outcome"]):
        return ""
    seconds = ((ended or now) - started).total_seconds()
    return f"{seconds:.1f}s" if seconds < SHORT_SEC else duration(seconds)


def _why(run: Run) -> str:
    words = [run.get("reason") or "", "" if run["trigger"] == "schedule" else run["trigger"]]
    return ", ".join(word for word in words if word) or "-"
