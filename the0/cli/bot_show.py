"""`the0 bot list` and `the0 bot show`: what a bot is and how it is doing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from the0.cli.address import with_api
from the0.cli.bot_logs import text_of
from the0.cli.bots import BOT_ARGUMENT, bot_path, find_bot
from the0.cli.client import ApiClient
from the0.cli.options import json_option
from the0.cli.output import duration, facts, print_json, print_table, read_time, say, since
from the0.cli.run_show import outcome, print_runs, utc_time
from the0.text import printable

HEADERS = ["NAME", "ID", "PHASE", "VERSION", "UPTIME", "RESTARTS", "CONDITIONS"]
DUE_HEADERS = ["DUE", "LAST RUN"]
"""Before the conditions, where there are scheduled bots."""

_EXITS_SHOWN = 5
_TAIL_SHOWN = 20


@click.command("list")
@json_option
@with_api
def list_(api: ApiClient, as_json: bool) -> None:
    """All bots: how far each is, since when it runs, when it is due and how its last run ended,
    and what is wrong with it."""
    answer = api.get("/bots")
    if as_json:
        print_json(answer)
        return
    _tell_silent(answer)
    if not answer["bots"]:
        say("There is no bot yet: the0 bot deploy FILE")
        return
    now = datetime.now(UTC)
    some_due = any(bot["type"] == "scheduled" for bot in answer["bots"])
    headers = [*HEADERS[:-1], *DUE_HEADERS, HEADERS[-1]] if some_due else HEADERS
    print_table(headers, [row(bot, now, with_due=some_due) for bot in answer["bots"]])


@click.command()
@BOT_ARGUMENT
@json_option
@with_api
def show(api: ApiClient, ref: str, as_json: bool) -> None:
    """One bot in full: conditions with what to do, exits with their reasons, the next attempt; of
    a scheduled one its schedule and its last runs.

    Its configuration, which may hold secrets, is only in the output of --json.
    """
    bot = api.get(bot_path(find_bot(api, ref)))
    if as_json:
        print_json(bot)
        return
    _tell_silent(bot)
    now = datetime.now(UTC)
    status = bot["status"] or {}
    facts(_facts(bot, status, now))
    _print_conditions(status, now)
    _print_exits(status, now)
    if bot.get("runs"):
        click.echo("\nRuns, newest first:")
        print_runs(bot["runs"])


def row(bot: Mapping[str, Any], now: datetime, *, with_due: bool = False) -> list[str]:
    """One bot in the table of `the0 bot list`."""
    status = bot["status"] or {}
    conditions = [one["type"] for one in _holding(status)]
    if status.get("outdated"):
        conditions.append("outdated")
    return [
        bot["name"],
        bot["id"],
        phase(bot),
        bot["version"],
        since(status.get("started_at"), now) if phase(bot) == "running" else "-",
        str(status.get("restarts", 0)) if bot["type"] == "realtime" else "-",
        *([_until(status.get("next_due"), now) or "-", _last(status)] if with_due else []),
        ", ".join(conditions) or "-",
    ]


def _last(status: Mapping[str, Any]) -> str:
    last = status.get("last_run")
    return outcome(last) if last else "-"


def _tell_silent(answer: Mapping[str, Any]) -> None:
    for role in answer["silent"]:
        say(f"The {role} does not answer: shown is what is stored.")


def phase(bot: Mapping[str, Any]) -> str:
    """The bot's phase; for one that the runner has not seen yet, what its document says."""
    status = bot["status"] or {}
    return str(status.get("phase") or ("pending" if bot["enabled"] else "disabled"))


def _holding(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in status.get("conditions", []) if one.get("status", True)]


def _facts(
    bot: Mapping[str, Any], status: Mapping[str, Any], now: datetime
) -> list[tuple[str, str]]:
    started = status.get("started_at")
    outdated = "the platform was upgraded since it started; applies at its next start"
    return [
        ("Name", bot["name"]),
        ("Id", bot["id"]),
        ("Custom bot", f"{bot['type']}/{bot['custom_bot']}"),
        ("Version", bot["version"]),
        ("Enabled", "yes" if bot["enabled"] else "no"),
        ("Phase", phase(bot)),
        ("Schedule", _schedule(status)),
        ("Due", _due(status, now)),
        ("Run that goes on", status.get("running") or ""),
        ("Running for", since(started, now) if started and phase(bot) == "running" else ""),
        ("Restarts", str(status.get("restarts", 0)) if bot["type"] == "realtime" else ""),
        ("Crashes in a row", str(status.get("crashes") or "")),
        ("Next attempt", _until(status.get("next_attempt_at"), now)),
        ("Container", status.get("container") or ""),
        ("Outdated", outdated if status.get("outdated") else ""),
    ]


def _schedule(status: Mapping[str, Any]) -> str:
    expression = status.get("schedule")
    return f"{expression} ({status.get('timezone')})" if expression else ""


def _due(status: Mapping[str, Any], now: datetime) -> str:
    due = status.get("next_due")
    return f"{utc_time(due)} UTC, {_until(due, now)}" if due else ""


def _until(text: str | None, now: datetime) -> str:
    time = read_time(text)
    if time is None:
        return ""
    left = (time - now).total_seconds()
    return f"in {duration(left)}" if left > 0 else "now"


def _print_conditions(status: Mapping[str, Any], now: datetime) -> None:
    holding = _holding(status)
    if holding:
        click.echo("\nConditions:")
    for one in holding:
        click.echo(f"  {one['type']} ({one['reason']}), for {since(one.get('since'), now)}")
        click.echo(f"    {printable(one['message'], 1000)}")


def _print_exits(status: Mapping[str, Any], now: datetime) -> None:
    exits = list(status.get("exits") or ())
    if not exits:
        return
    click.echo("\nExits, newest first:")
    newest_first = sorted(exits, key=lambda one: str(one.get("at")), reverse=True)
    for one in newest_first[:_EXITS_SHOWN]:
        click.echo(f"  {since(one.get('at'), now)} ago: {exit_text(one)}")
    tail = newest_first[0].get("log_tail") or ()
    if tail and not newest_first[0].get("asked_by"):
        click.echo("\nLast lines before the newest exit:")
        for line in list(tail)[-_TAIL_SHOWN:]:
            click.echo(f"  {printable(text_of(line), 500)}")


def exit_text(one: Mapping[str, Any]) -> str:
    """Why a container ended, in a few words."""
    words = [str(one.get("reason") or "ended")]
    if one.get("code") is not None:
        words.append(f"code {one['code']}")
    if one.get("signal"):
        words.append(f"signal {one['signal']}")
    if one.get("oom_killed"):
        words.append("out of memory")
    if one.get("peak_memory_bytes"):
        words.append(f"peak {one['peak_memory_bytes'] / (1 << 20):.0f} MiB")
    if one.get("asked_by"):
        words.append(f"asked for: {one['asked_by']}")
    return ", ".join(words)
