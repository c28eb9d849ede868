"""docs/cli.md, made of the commands' own help: `python -m the0.cli.reference > docs/cli.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from the0.cli.main import the0

WIDTH = 90

_HEAD = """# The `the0` command

Made from the commands' own help by `make docs`; a test holds this page to it. Commands that talk
to the host find its control API by `--url` and `--token`, else `THE0_API_URL` and
`THE0_API_TOKEN`, else the `the0 local` of this user, else the settings. Data goes to stdout,
everything else to stderr; with `--json`, what goes to stdout is one JSON value (for
`the0 bot logs`, one a line).

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | failed; also `the0 doctor` where something is wrong |
| 2 | what was given is wrong |
| 3 | it certainly does not exist |
| 4 | it exists already, or is not what it was taken for |
| 5 | no token, or a wrong one |
| 6 | a plugin is missing or broken |
| 7 | something does not answer |
| 8 | something took too long |
| 9 | too many requests |
| 130 | interrupted |
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_sections(the0, _context(the0, "the0"))])


def _sections(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"## `{context.command_path}`\n\n```\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from _sections(child, _context(child, name, context))


def _context(
    command: click.Command, name: str, parent: click.Context | None = None
) -> click.Context:
    return click.Context(
        command,
        parent,
        info_name=name,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        help_option_names=["-h", "--help"],
        color=False,
    )


if __name__ == "__main__":
    sys.stdout.write(page())
