"""`the0 local`: everything on this machine."""

from __future__ import annotations

import dataclasses
import os

import click

from the0.cli.options import json_option
from the0.cli.output import Steps, facts, print_json, print_table, say
from the0.local.paths import LocalPaths
from the0.local.start import start as start_local
from the0.local.status import LocalStatus, local_status
from the0.local.stop import Stopped
from the0.local.stop import stop as stop_local


@click.group("local")
def group() -> None:
    """Everything on this machine: database, storage, NATS and the host, with data in
    ~/.the0/local (THE0_LOCAL_DIR)."""


@group.command()
@click.option(
    "--executor",
    metavar="NAME",
    help="Run bots by this executor (the setting executor.plugin): `process` needs no Docker.",
)
@json_option
def start(executor: str | None, as_json: bool) -> None:
    """Start it all; what runs already stays as it is.

    Servers that the settings name (MONGO_URI, MINIO_ENDPOINT, NATS_URL) are used in place of the
    embedded ones.
    """
    chosen = {"THE0_EXECUTOR__PLUGIN": executor} if executor else {}
    client = start_local(Steps(), {**os.environ, **chosen})
    if as_json:
        print_json({"url": client.url, "token_file": str(LocalPaths.of().client)})
        return
    say(f"Ready. The control API is at {client.url}; see `the0 local status` and `the0 bot list`.")


@group.command()
@json_option
def status(as_json: bool) -> None:
    """What runs, and where its data and logs lie. Exit code 1 when something does not run."""
    found = local_status()
    if as_json:
        print_json(dataclasses.asdict(found))
    else:
        _print_status(found)
    if not found.running:
        raise SystemExit(1)


@group.command()
@json_option
def stop(as_json: bool) -> None:
    """Stop bots, host and servers. The bots' state and logs stay, in the embedded storage."""
    result = stop_local(Steps())
    if as_json:
        print_json(dataclasses.asdict(result))
    else:
        _print_stopped(result)


def _print_status(found: LocalStatus) -> None:
    rows = [
        [one.name, one.state, str(one.pid or "-"), one.since, str(one.restarts)]
        for one in found.processes
    ]
    if rows:
        print_table(["PROCESS", "STATE", "PID", "SINCE", "RESTARTS"], rows)
    else:
        click.echo("Nothing runs. Start it with: the0 local start")
    click.echo()
    facts([("API", found.url or ""), ("Data", found.data), ("Logs", found.logs)])


def _print_stopped(result: Stopped) -> None:
    bots = {0: "no bot was", 1: "1 bot was"}.get(result.bots, f"{result.bots} bots were")
    say(f"Stopped ({bots} running). The bots' state and logs are in {result.data}.")
    for bot_id, volumes in result.kept.items():
        say(f"Not stored, so kept as volumes: the state of {bot_id} ({', '.join(volumes)})")
