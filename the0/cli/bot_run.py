"""`the0 bot run-now`: a run beside the schedule."""

from __future__ import annotations

import time
from typing import Any

import click

from the0.cli.address import with_api
from the0.cli.bots import BOT_ARGUMENT, bot_path, find_bot
from the0.cli.client import ApiClient
from the0.cli.options import json_option
from the0.cli.output import print_json, say
from the0.cli.run_show import EXIT_CODES, print_run
from the0.cli.runs import run_path
from the0.errors import Unavailable

POLL_SEC = 0.5
PATIENCE_SEC = 60.0


@click.command("run-now")
@BOT_ARGUMENT
@click.option("--wait", is_flag=True, help="Wait for its end; the exit code tells its outcome.")
@json_option
@with_api
def run_now(api: ApiClient, ref: str, wait: bool, as_json: bool) -> int:
    """Run the scheduled BOT once, now, beside its schedule.

    With --wait the exit code is 0 for a run that succeeded, 1 for one that failed or was lost, 4
    for one that was not started, 8 for one that took too long, 130 for one that was cancelled.
    """
    told = api.post(f"{bot_path(find_bot(api, ref))}/run-now")
    if not wait:
        if as_json:
            print_json(told)
        else:
            click.echo(f"Running {ref} (run {told['run']}).")
        return 0
    say(f"Waiting for the run {told['run']}, which Ctrl-C does not end.")
    run = ended_run(api, told["run"])
    if as_json:
        print_json(run)
    else:
        print_run(run)
    return EXIT_CODES[run["outcome"]]


def ended_run(api: ApiClient, run_id: str) -> dict[str, Any]:
    """The run, once it has ended. A host that is restarted meanwhile is waited for; raises
    Unavailable when it does not answer for long."""
    answered = time.monotonic()
    while True:
        try:
            run: dict[str, Any] = api.get(run_path(run_id))
        except Unavailable:
            if time.monotonic() - answered > PATIENCE_SEC:
                raise
        else:
            answered = time.monotonic()
            if run["outcome"]:
                return run
        time.sleep(POLL_SEC)
