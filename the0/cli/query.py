"""`the0 bot query`: a question to a bot."""

from __future__ import annotations

import json
import math
from typing import Any

import click

from the0.cli.address import with_api
from the0.cli.bots import BOT_ARGUMENT, bot_path, find_bot
from the0.cli.client import ApiClient, segment
from the0.cli.output import print_json
from the0.errors import InvalidInput
from the0.queries.request import DEFAULT_SEC, MAX_SEC, MIN_SEC
from the0.text import parse_json


class _Seconds(click.FloatRange):
    """Between the bounds; NaN, which no comparison refuses, is not."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is no number.", param, ctx)
        return seconds


@click.command()
@BOT_ARGUMENT
@click.argument("path")
@click.option("-p", "--params", default="{}", help="What the query is given: a JSON object.")
@click.option(
    "-t",
    "--timeout",
    "timeout_sec",
    type=_Seconds(MIN_SEC, MAX_SEC),
    default=DEFAULT_SEC,
    show_default=True,
    help="Seconds to wait for the answer.",
)
@click.option("-r", "--raw", is_flag=True, help="Print the answer on one line.")
@with_api
def query(
    api: ApiClient, ref: str, path: str, *, params: str, timeout_sec: float, raw: bool
) -> None:
    """Ask BOT the query at PATH, like /status, and print its answer as JSON.

    A bot that runs answers itself; any other one is asked in a container of the query's own. The
    query /info of any bot lists those that it has.
    """
    asked = {"params": _object(params), "timeout_sec": timeout_sec}
    steps = "/".join(segment(step) for step in path.removeprefix("/").split("/"))
    answer = api.ask(f"{bot_path(find_bot(api, ref))}/query/{steps}", asked, timeout_sec)
    data: Any = answer.get("data")
    if raw:
        click.echo(json.dumps(data, ensure_ascii=False))
    else:
        print_json(data)


def _object(params: str) -> dict[str, Any]:
    value = parse_json(params.encode(errors="surrogateescape"), "--params")
    if not isinstance(value, dict):
        raise InvalidInput("""--params has to be a JSON object, like '{"limit": 5}'.""")
    return value
