"""The command's frame: which commands there are, and how every end looks to the caller.

Commands are imported when they are used, so that `the0 bot list` does not wait for Docker's SDK.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from the0.errors import The0Error

COMMANDS: Mapping[str, tuple[str, str]] = {
    "bot": ("the0.cli.bot", "bot"),
    "custom-bot": ("the0.cli.custom_bot", "custom_bot"),
    "doctor": ("the0.cli.doctor", "doctor"),
    "images": ("the0.cli.images", "images"),
    "local": ("the0.cli.local", "group"),
    "plugin": ("the0.cli.plugin_new", "plugin"),
    "plugins": ("the0.cli.machine", "plugins"),
    "runs": ("the0.cli.runs", "runs"),
    "schedule": ("the0.cli.schedule", "schedule"),
    "settings": ("the0.cli.machine", "settings"),
}
FAILED = 1
INTERRUPTED = 130


class LateGroup(click.Group):
    """A group whose commands are modules that are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(
    cls=LateGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="the0", prog_name="the0", message="%(prog)s %(version)s")
def the0() -> None:
    """Run trading bots in containers, kept as you say.

    Begin with `the0 local start`, which sets up all that is needed on this machine; then deploy
    a bot's code with `the0 custom-bot deploy DIR` and an instance of it with
    `the0 bot deploy FILE`. Exit codes: 0 done, 1 failed, 2 wrong input, 3 not found, 4 conflict,
    5 not allowed, 6 a plugin is missing, 7 something does not answer, 8 too slow, 9 too often,
    130 interrupted.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors are on stderr, for a person."""
    # A bot's text may hold what is no Unicode; in JSON the escape is even the same text.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        result: Any = the0.main(
            args=None if arguments is None else list(arguments),
            prog_name="the0",
            standalone_mode=False,
        )
        sys.stdout.flush()
    except The0Error as error:
        click.echo(f"Error: {error.message}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except SystemExit as error:
        # A command's own exit code, or click's 1 for a reader that had enough.
        return error.code if isinstance(error.code, int) else FAILED
    except OSError as error:
        return _refused_by_system(error)
    return result if isinstance(result, int) else 0


def _refused_by_system(error: OSError) -> int:
    if isinstance(error, BrokenPipeError):
        # A reader that had enough (`the0 bot list | head`); the exit may not write either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    else:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        click.echo(f"Error: {what}.", err=True)
    return FAILED


def main() -> None:
    """The console script `the0`."""
    sys.exit(run())
