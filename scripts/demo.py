"""`make demo`: three example bots on this machine, by the commands that the README shows.

Harmless to run again: what is there already stays as it is.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

THE0 = str(Path(sys.executable).parent / "the0")
ALERT, REPORT = Path("examples/bots/price-alert"), Path("examples/bots/daily-report")
BOTS = {"demo-btc": ALERT / "instance.json", "demo-eth": ALERT / "instance-eth.json"}
SCHEDULED = {"demo-report": REPORT / "instance-demo.json"}
WAIT_SEC = 120.0
GO_ON = """
Go on with (in .venv/bin, so first: source .venv/bin/activate):
  the0 bot list                    all bots
  the0 bot logs -f demo-btc        what one of them writes, live
  the0 bot show demo-btc           how it stands, and why it last ended
  the0 bot disable demo-btc        stop it, keeping its state; enable starts it again
  the0 runs list demo-report       what became of each time the scheduled one was due
  the0 local status                the servers behind it, and where their data lies
  the0 doctor                      what could be better on this machine
  make stop                        stop everything; the bots' state stays"""


def main() -> None:
    """Start, deploy, wait until all bots run or have run, show them."""
    run("local", "start")
    for code in (ALERT, REPORT):
        run("custom-bot", "deploy", str(code))
    there = {bot["id"] for bot in bots()}
    for bot_id, instance in {**BOTS, **SCHEDULED}.items():
        if bot_id in there:
            click.echo(f"{bot_id} is deployed already.")
        else:
            run("bot", "deploy", str(instance), "--id", bot_id)
    click.echo("Waiting until they run ...")
    until(lambda: all(settled(bot) for bot in bots() if bot["id"] in BOTS), "the bots do not run")
    running = [bot["id"] for bot in bots() if bot["id"] in BOTS and phase(bot) == "running"]
    for bot_id in running:
        until(lambda bot_id=bot_id: last_lines(bot_id) != "", f"{bot_id} writes nothing")
    scheduled = [bot["id"] for bot in bots() if bot["id"] in SCHEDULED and bot["enabled"]]
    for bot_id in scheduled:
        until(lambda bot_id=bot_id: has_run(bot_id), f"{bot_id} is not run")
    run("bot", "list")
    for bot_id in running:
        run("bot", "logs", bot_id, "--lines", "3")
    for bot_id in scheduled:
        run("runs", "list", bot_id, "-n", "3")
    click.echo(GO_ON)


def run(*arguments: str) -> None:
    """Show and run one command; end with its exit code when it fails."""
    click.secho(f"\n$ the0 {' '.join(arguments)}", bold=True)
    done = subprocess.run([THE0, *arguments], check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)


def bots() -> list[dict[str, Any]]:
    return listed("bots", "bot", "list")


def has_run(bot_id: str) -> bool:
    return any(run["outcome"] == "succeeded" for run in listed("runs", "runs", "list", bot_id))


def listed(key: str, *command: str) -> list[dict[str, Any]]:
    done = subprocess.run([THE0, *command, "--json"], check=True, stdout=subprocess.PIPE)
    found: list[dict[str, Any]] = json.loads(done.stdout)[key]
    return found


def last_lines(bot_id: str) -> str:
    command = [THE0, "bot", "logs", bot_id, "--lines", "1"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def settled(bot: dict[str, Any]) -> bool:
    """Running, or disabled by whoever looked at the demo before."""
    return phase(bot) in ("running", "disabled")


def phase(bot: dict[str, Any]) -> str | None:
    """None for one that the host has not looked at yet."""
    return (bot["status"] or {}).get("phase")


def until(condition: Callable[[], bool], failure: str) -> None:
    deadline = time.monotonic() + WAIT_SEC
    while not condition():
        if time.monotonic() > deadline:
            click.echo(
                f"After {WAIT_SEC:.0f} s {failure}; see: the0 bot list, the0 doctor", err=True
            )
            sys.exit(1)
        time.sleep(0.5)


if __name__ == "__main__":
    main()
