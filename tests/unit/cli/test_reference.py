"""docs/cli.md is what the commands say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from the0.cli.main import the0
from the0.cli.reference import page

DOCS = Path(__file__).parents[3] / "docs" / "cli.md"


def commands(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    yield context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from commands(child, click.Context(child, info_name=name, parent=context))


def test_the_page_is_the_commands_own_help() -> None:
    assert DOCS.read_text() == page(), "run: make docs"


def test_every_command_says_what_it_does_and_what_its_options_mean() -> None:
    for context in commands(the0, click.Context(the0, info_name="the0")):
        assert context.command.help, context.command_path
        for parameter in context.command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{context.command_path} {parameter.name}"
