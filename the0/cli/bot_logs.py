"""`the0 bot logs`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import click

from the0.cli.address import with_api
from the0.cli.bots import BOT_ARGUMENT, bot_path, find_bot
from the0.cli.client import ApiClient
from the0.cli.options import json_option
from the0.errors import NotFound, Unavailable
from the0.text import printable

_LINE_CHARS = 100_000


@click.command()
@BOT_ARGUMENT
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option(
    "-n", "--lines", type=click.IntRange(0, 100_000), default=100, help="How many of the last."
)
@click.option("--date", help="A day, YYYYMMDD (UTC), from storage.")
@json_option
@with_api
def logs(
    api: ApiClient, ref: str, *, follow: bool, lines: int, date: str | None, as_json: bool
) -> None:
    """The last lines that BOT wrote; with --json as the NDJSON that is stored.

    The logs of a deleted bot are shown by its full id.
    """
    path = f"{bot_path(_with_logs(api, ref))}/logs"
    show = line_printer(as_json=as_json, terminal=sys.stdout.isatty())
    for line in api.lines(path, lines=lines, follow="true" if follow else None, date=date):
        click.echo(show(line))
    if follow:
        raise Unavailable("The host ended. The bot may run on; follow it again once it is back.")


def _with_logs(api: ApiClient, ref: str) -> str:
    try:
        return find_bot(api, ref)
    except NotFound:
        return ref


def line_printer(*, as_json: bool, terminal: bool) -> Callable[[str], str]:
    """How a stored line is shown. A bot's text could steer a terminal: there, what is unprintable
    is shown escaped."""
    if as_json:
        return str
    return lambda line: printable(text_of(line), _LINE_CHARS) if terminal else text_of(line)


def text_of(line: str) -> str:
    """`time message field=value` of a stored line; what is no such line stays as it is."""
    try:
        record = json.loads(line)
        rest = {key: value for key, value in record.items() if key not in ("timestamp", "message")}
        words = [str(record["timestamp"]), str(record.get("message", ""))]
    except (ValueError, AttributeError, KeyError):
        return line
    words += [f"{key}={_short(value)}" for key, value in rest.items()]
    return " ".join(word for word in words if word)


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
