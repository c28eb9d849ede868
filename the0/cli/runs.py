"""`the0 runs`: what became of the slots of scheduled bots."""

from __future__ import annotations

import sys

import click

from the0.cli.address import with_api
from the0.cli.bot_logs import line_printer
from the0.cli.bots import find_bot
from the0.cli.client import ApiClient, segment
from the0.cli.options import json_option
from the0.cli.output import print_json, say
from the0.cli.run_show import print_run, print_runs
from the0.errors import NotFound

RUN_ARGUMENT = click.argument("run_id", metavar="RUN")


@click.group()
def runs() -> None:
    """Runs of scheduled bots: one for each attempt at each slot, started or not.

    RUN is a run's id, as `the0 runs list` shows it and as the bot finds it in RUN_ID.
    """


@runs.command("list")
@click.argument("ref", metavar="[BOT]", required=False)
@click.option(
    "-n",
    "--number",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="How many of the newest.",
)
@click.option("--before", help="Only runs of slots before this time, like 2026-01-31T09:00:00Z.")
@json_option
@with_api
def list_(api: ApiClient, ref: str | None, number: int, before: str | None, as_json: bool) -> None:
    """The newest runs of BOT, or of all bots, with what became of them.

    The runs of a deleted bot are listed by its full id.
    """
    answer = api.get("/runs", bot=_bot(api, ref), limit=number, before=before)
    if as_json:
        print_json(answer)
    elif answer["runs"]:
        print_runs(answer["runs"])
    else:
        say("There is no run yet; `the0 bot show BOT` tells when the next one is due.")


@runs.command()
@RUN_ARGUMENT
@json_option
@with_api
def show(api: ApiClient, run_id: str, as_json: bool) -> None:
    """One run in full: times, outcome and its reason, result, last lines."""
    run = api.get(run_path(run_id))
    if as_json:
        print_json(run)
    else:
        print_run(run)


@runs.command()
@RUN_ARGUMENT
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 100_000),
    default=1000,
    show_default=True,
    help="How many of the last.",
)
@json_option
@with_api
def logs(api: ApiClient, run_id: str, lines: int, as_json: bool) -> None:
    """What the bot wrote during RUN; with --json as the NDJSON that is stored."""
    show_line = line_printer(as_json=as_json, terminal=sys.stdout.isatty())
    for line in api.lines(f"{run_path(run_id)}/logs", lines=lines):
        click.echo(show_line(line))


@runs.command()
@RUN_ARGUMENT
@json_option
@with_api
def cancel(api: ApiClient, run_id: str, as_json: bool) -> None:
    """Have RUN end: SIGTERM, the grace period, SIGKILL. A later slot runs as ever."""
    answer = api.post(f"{run_path(run_id)}/cancel")
    if as_json:
        print_json(answer)
    else:
        click.echo(f"Cancelling the run {answer['run']}.")


def run_path(run_id: str) -> str:
    """The path of a run below `/api/v1`."""
    return f"/runs/{segment(run_id)}"


def _bot(api: ApiClient, ref: str | None) -> str | None:
    try:
        return ref and find_bot(api, ref)
    except NotFound:
        return ref
