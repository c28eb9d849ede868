"""`the0 custom-bot`: the code of bots, deployed once per version."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click

from the0.cli.address import with_api
from the0.cli.client import ApiClient, segment
from the0.cli.options import json_option
from the0.cli.output import Steps, facts, megabytes, print_json, print_table, say
from the0.config import bootstrap
from the0.errors import Conflict, NotFound
from the0.project import PackedProject, Project, load_project, pack

_PATH = "/custom-bots"


@click.group("custom-bot")
def custom_bot() -> None:
    """Code of bots: a folder with bot-config.yaml becomes an archive, once per version."""


@custom_bot.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@json_option
@with_api
def deploy(api: ApiClient, folder: Path, as_json: bool) -> None:
    """Check the project in DIR, vendor its dependencies, pack and upload it.

    A version never changes: the same content again is no error, other content needs a new
    `version` in bot-config.yaml. What stands in .the0ignore stays out.
    """
    settings, plugins = bootstrap()
    say(f"Checking {folder}")
    project = load_project(folder, plugins.runtimes)
    with tempfile.TemporaryDirectory(prefix="the0-deploy-") as scratch:
        packed = pack(project, Path(scratch), Steps(), settings.archive)
        result = _known(api, project, packed) or _upload(api, packed)
    if as_json:
        print_json(result)
    elif result["unchanged"]:
        click.echo(f"{result['name']} {result['version']} is deployed already, unchanged.")
    else:
        click.echo(f"Deployed {result['name']} {result['version']}.")


@custom_bot.command("list")
@json_option
@with_api
def list_(api: ApiClient, as_json: bool) -> None:
    """All deployed custom bots with their versions."""
    answer = api.get(_PATH)
    if as_json:
        print_json(answer)
        return
    rows = [
        [one["name"], one["version"], one["type"], one["runtime"], megabytes(one["size"])]
        for one in answer["custom_bots"]
    ]
    if not rows:
        say("No custom bot is deployed yet: the0 custom-bot deploy DIR")
        return
    print_table(["NAME", "VERSION", "TYPE", "RUNTIME", "SIZE"], rows)


@custom_bot.command()
@click.argument("name")
@click.option("--version", help="A certain version; else the newest.")
@json_option
@with_api
def show(api: ApiClient, name: str, version: str | None, as_json: bool) -> None:
    """One custom bot: its versions, entrypoints and the fields of its configuration."""
    record = api.get(f"{_PATH}/{segment(name)}", version=version)
    if as_json:
        print_json(record)
        return
    config = record["config"]
    entrypoints = ", ".join(f"{role} {file}" for role, file in config["entrypoints"].items())
    facts(
        [
            ("Name", record["name"]),
            ("Version", record["version"]),
            ("All versions", ", ".join(record["versions"])),
            ("Description", record["description"]),
            ("Type", record["type"]),
            ("Runtime", record["runtime"]),
            ("Entrypoints", entrypoints),
            ("Archive", f"{megabytes(record['size'])}, SHA-256 {record['sha256']}"),
        ]
    )
    _print_fields(config.get("schema", {}).get("bot", {}))


def _print_fields(schema: dict[str, Any]) -> None:
    required = schema.get("required", [])
    rows = [
        [
            name,
            str(field.get("type", "any")),
            "yes" if name in required else "",
            str(field.get("description", "")),
        ]
        for name, field in schema.get("properties", {}).items()
        if isinstance(field, dict)
    ]
    if rows:
        click.echo()
        print_table(["FIELD", "TYPE", "REQUIRED", "MEANING"], rows)


def _known(api: ApiClient, project: Project, packed: PackedProject) -> dict[str, Any] | None:
    """What is there already under this version; saves the upload."""
    name, version = project.config.name, project.config.version
    try:
        record = api.get(f"{_PATH}/{segment(name)}", version=version)
    except NotFound:
        return None
    if record["sha256"] != packed.sha256:
        raise Conflict(
            f"{name} {version} is deployed already, with other content. A version never changes: "
            f"raise `version` in {project.folder / 'bot-config.yaml'} and deploy again."
        )
    known = {key: record[key] for key in ("name", "version", "sha256", "size")}
    return {**known, "unchanged": True}


def _upload(api: ApiClient, packed: PackedProject) -> dict[str, Any]:
    say(f"Uploading {megabytes(packed.size)}")
    result: dict[str, Any] = api.upload(_PATH, packed.path)
    return result
