"""`the0 bot`: instances of custom bots."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click

from the0.cli.address import with_api
from the0.cli.bot_logs import logs
from the0.cli.bot_run import run_now
from the0.cli.bot_show import list_, show
from the0.cli.bots import BOT_ARGUMENT, bot_path, find_bot
from the0.cli.client import ApiClient
from the0.cli.options import json_option
from the0.cli.output import print_json, say
from the0.cli.query import query
from the0.errors import InvalidInput, NotFound
from the0.text import parse_json

_IN_CONFIG = re.compile(r"^(\$\.)?config\b")
_ROLES = {"realtime": "runner", "scheduled": "scheduler"}


@click.group()
def bot() -> None:
    """Instances of custom bots: deploy, watch, change and delete them.

    BOT is a bot's id, its name, or the beginning of its id, where that names just one.
    """


for _command in (list_, show, logs, query, run_now):
    bot.add_command(_command)


@bot.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--id", "bot_id", help="An id of your choice; one is made where none is given.")
@click.option("--disabled", is_flag=True, help="Store it without letting it run.")
@json_option
@with_api
def deploy(api: ApiClient, file: Path, bot_id: str | None, disabled: bool, as_json: bool) -> None:
    """Make a bot of the instance in FILE (JSON: `name`, `type`, `version`, its own fields; for a
    scheduled one also `schedule`).

    Its configuration is checked against the schema of the custom bot, and each fault is shown
    by its path.
    """
    body = {"config": _instance(file), "enabled": not disabled}
    answer = _checked(file, lambda: api.post("/bots", body | ({"id": bot_id} if bot_id else {})))
    _report("Deployed", answer, as_json)


@bot.command()
@BOT_ARGUMENT
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@with_api
def update(api: ApiClient, ref: str, file: Path, as_json: bool) -> None:
    """Give BOT the configuration, and perhaps the new minor or patch version, in FILE.

    It keeps its id and its state, and is restarted with what changed; a run of a scheduled bot
    that goes on is not.
    """
    instance = _instance(file)
    path = bot_path(find_bot(api, ref))
    _report("Updated", _checked(file, lambda: api.put(path, {"config": instance})), as_json)


@bot.command()
@BOT_ARGUMENT
@json_option
@with_api
def enable(api: ApiClient, ref: str, as_json: bool) -> None:
    """Let BOT run."""
    _report("Enabled", api.post(f"{bot_path(find_bot(api, ref))}/enable"), as_json)


@bot.command()
@BOT_ARGUMENT
@click.option(
    "--stop-running",
    is_flag=True,
    help="Of a scheduled bot also cancel the run that goes on; without, it ends by itself.",
)
@json_option
@with_api
def disable(api: ApiClient, ref: str, stop_running: bool, as_json: bool) -> None:
    """Stop BOT; it keeps its configuration and state. A scheduled one is not due any more."""
    path = f"{bot_path(find_bot(api, ref))}/disable"
    _report("Disabled", api.post(path, stop_running="true" if stop_running else None), as_json)


@bot.command()
@BOT_ARGUMENT
@click.option("--purge", is_flag=True, help="Also remove its stored state and logs.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@with_api
def delete(api: ApiClient, ref: str, purge: bool, yes: bool, as_json: bool) -> None:
    """Stop BOT and forget it. What is stored of its state and logs stays, unless --purge is given.

    With --purge, BOT may also be the full id of a bot that was deleted before.
    """
    bot_id = _bot_to_delete(api, ref, purge)
    _confirm(f"Delete the bot {ref}{' with all its state and logs' * purge}?", yes)
    _report("Deleted", api.delete(bot_path(bot_id), purge="true" if purge else None), as_json)
    if not purge and not as_json:
        say(f"What is stored of it stays; `the0 bot delete {bot_id} --purge` removes that.")


@bot.group()
def state() -> None:
    """The state that a bot keeps over its restarts."""


@state.command()
@BOT_ARGUMENT
@click.argument("choice", type=click.Choice(["local", "stored"]))
@json_option
@with_api
def keep(api: ApiClient, ref: str, choice: str, as_json: bool) -> None:
    """Answer the condition StateConflict of BOT: go on with the `local` state, in its volume on
    this host, or with the `stored` one, in object storage. The other one is lost."""
    path = f"{bot_path(find_bot(api, ref))}/state/keep"
    _report(f"Keeping the {choice} state of", api.post(path, {"keep": choice}), as_json)


def _bot_to_delete(api: ApiClient, ref: str, purge: bool) -> str:
    try:
        return find_bot(api, ref)
    except NotFound:
        if not purge:
            raise
        # Deleted before: what is purged now is what it left, under its full id.
        return ref


def _confirm(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput("Nobody can be asked here: give --yes if you mean it.")
    click.confirm(question, abort=True, err=True)


def _instance(file: Path) -> Any:
    try:
        return parse_json(file.read_bytes(), str(file))
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from error


def _checked(file: Path, call: Any) -> Any:
    """`call()`, its faults told by their paths in `file` instead of in the request."""
    try:
        return call()
    except InvalidInput as error:
        faults = [_IN_CONFIG.sub("$", fault) for fault in error.faults]
        raise InvalidInput(f"{file}: {error}", faults) from error


def _report(done: str, answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    click.echo(f"{done} {answer.get('name') or answer['id']} (id {answer['id']}).")
    if answer["applies"] != "at once":
        role = _ROLES[answer["type"]]
        say(f"The {role} does not answer; this takes effect at its next pass, once it runs.")
