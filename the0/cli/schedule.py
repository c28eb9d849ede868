"""`the0 schedule`: what a schedule means, without a host."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import click

from the0.cli.options import json_option
from the0.cli.output import duration, print_json, print_table
from the0.config import bootstrap
from the0.plugin import Scheduler
from the0.schedules import chosen_scheduler

MOST_FIRES = 1000
LOCAL_TIME = "%a %Y-%m-%d %H:%M:%S %z"


@click.group()
def schedule() -> None:
    """When scheduled bots are due."""


@schedule.command()
@click.argument("expression")
@click.option("--timezone", default="UTC", show_default=True, help="An IANA name.")
@click.option(
    "-n",
    "--number",
    type=click.IntRange(1, MOST_FIRES),
    default=10,
    show_default=True,
    help="How many times.",
)
@json_option
def preview(expression: str, timezone: str, number: int, as_json: bool) -> None:
    """The next times at which a bot with the schedule EXPRESSION is due.

    Cron: five fields (minute hour day month weekday), six with seconds first, or a descriptor
    from `@hourly` to `@every 90s`; see docs/bots.md. No host is asked.
    """
    now = datetime.now(UTC)
    scheduler = chosen_scheduler(*bootstrap())
    found = list(islice(_fires(scheduler, expression, timezone, now), number))
    if as_json:
        times = [due.isoformat() for due in found]
        print_json({"expression": expression, "timezone": timezone, "fires": times})
        return
    zone = ZoneInfo(timezone)
    print_table(
        [timezone, "UTC", "IN"],
        [
            [
                due.astimezone(zone).strftime(LOCAL_TIME),
                due.strftime("%Y-%m-%d %H:%M:%S"),
                duration((due - now).total_seconds()),
            ]
            for due in found
        ],
    )


def _fires(
    scheduler: Scheduler, expression: str, timezone: str, after: datetime
) -> Iterator[datetime]:
    """The due times after `after`, without end. Raises InvalidInput for no schedule."""
    while True:
        after = scheduler.next_after(expression, timezone, after)
        yield after
