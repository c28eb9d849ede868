"""`the0 doctor`: what this machine lacks, and what to do about it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import click

from the0.cli.options import json_option, settings_option
from the0.cli.output import print_json
from the0.config import bootstrap
from the0.doctor import Check, Status, run_checks
from the0.local.paths import LocalPaths

MARKS = {Status.OK: ("ok", "green"), Status.WARN: ("WARN", "yellow"), Status.FAIL: ("FAIL", "red")}


@click.command()
@settings_option
@json_option
def doctor(settings_files: Sequence[Path], as_json: bool) -> None:
    """Check all that bots need on this machine; says for each fault what to do.

    Exit code 1 when something fails. Where `the0 local` is set up, its settings are checked.
    """
    settings, plugins = bootstrap(settings_files or _local_settings())
    checks = run_checks(settings, plugins)
    failed = any(check.status is Status.FAIL for check in checks)
    if as_json:
        print_json({"ok": not failed, "checks": [dataclasses.asdict(check) for check in checks]})
    else:
        _print_checks(checks)
    if failed:
        raise SystemExit(1)


def _local_settings() -> Sequence[Path]:
    path = LocalPaths.of(os.environ).settings
    return [path] if path.exists() else []


def _print_checks(checks: Sequence[Check]) -> None:
    width = max(len(check.name) for check in checks)
    for check in checks:
        mark, color = MARKS[check.status]
        message = check.message.replace("\n", f"\n{'':<{width + 8}}")
        click.echo(f"{click.style(f'{mark:<4}', fg=color)}  {check.name:<{width}}  {message}")
        if check.fix:
            click.echo(f"{'':<6}{'':<{width}}  -> {check.fix}")
