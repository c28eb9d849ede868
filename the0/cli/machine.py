"""`the0 plugins` and `the0 settings`: what is installed and set on this machine."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from the0.cli.options import json_option, settings_option
from the0.cli.output import print_json, print_table, say
from the0.config import bootstrap
from the0.settings import CORE_SECTIONS, section_fields, section_name
from the0.settings_sources import STANDARD_FILES, read_layers
from the0.settings_values import mask


@click.command()
@settings_option
@json_option
def plugins(settings_files: Sequence[Path], as_json: bool) -> None:
    """Installed plugins: what each provides, and what is blocked or broken, and why."""
    _, manager = bootstrap(settings_files)
    found = manager.plugins()
    if as_json:
        listed = [dataclasses.asdict(plugin) for plugin in found]
        print_json({"plugins": listed, "warnings": list(manager.warnings)})
        return
    rows = [
        [
            plugin.name,
            plugin.distribution,
            plugin.version,
            ", ".join(plugin.kinds) or "-",
            ", ".join(plugin.names) or "-",
            plugin.status,
        ]
        for plugin in found
    ]
    print_table(["PLUGIN", "DISTRIBUTION", "VERSION", "KINDS", "PROVIDES", "STATUS"], rows)
    for plugin in found:
        if plugin.fault:
            say(f"{plugin.name}: {plugin.fault}")
    for warning in manager.warnings:
        say(warning)


@click.command()
@settings_option
@json_option
def settings(settings_files: Sequence[Path], as_json: bool) -> None:
    """The settings in effect, each with where its value comes from; secrets are masked."""
    found = _effective(settings_files)
    if as_json:
        print_json({"settings": [dataclasses.asdict(one) for one in found]})
        return
    print_table(
        ["SETTING", "VALUE", "FROM"], [[one.name, str(one.value), one.origin] for one in found]
    )


@dataclass(frozen=True)
class Effective:
    """One setting: its full name, its value (masked where it is secret) and its origin."""

    name: str
    value: Any
    origin: str


def _effective(settings_files: Sequence[Path]) -> list[Effective]:
    loaded, manager = bootstrap(settings_files)
    for warning in loaded.warnings:
        say(f"Warning: {warning}")
    files = [*(path for path in STANDARD_FILES if path.exists()), *settings_files]
    sections = [*CORE_SECTIONS, *manager.sections()]
    given = read_layers(sections, files, os.environ).values
    return [
        Effective(
            name=f"{table}.{name}" if table else name,
            value=_masked(getattr(loaded.section(cls), name), declaration.secret),
            origin=given[table, name].source if (table, name) in given else "default",
        )
        for cls in sections
        for table in [section_name(cls)]
        for name, declaration in section_fields(cls).items()
    ]


def _masked(value: Any, secret: bool) -> Any:
    if secret and value:
        return "***"
    if isinstance(value, tuple):
        return [mask(str(one)) for one in value]
    return mask(value) if isinstance(value, str) else value
