"""`the0 images`: what containers of bots are made from."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from the0.cli.options import json_option, settings_option
from the0.cli.output import Steps, print_json, print_table
from the0.config import Settings, bootstrap
from the0.core.images import ensure_images, image_digest, image_tag
from the0.errors import PluginError
from the0.plugin.interfaces import Executor, PluginArgs, Runtime
from the0.plugin.manager import PluginManager


@dataclass(frozen=True)
class ImageState:
    """The image of one runtime; `digest` is that of its inputs."""

    runtime: str
    tag: str
    digest: str
    present: bool


@click.group()
def images() -> None:
    """Images that bots run in, one for each runtime."""


@images.command()
@click.argument("names", metavar="[RUNTIME]...", nargs=-1)
@settings_option
@json_option
def build(names: Sequence[str], settings_files: Sequence[Path], as_json: bool) -> None:
    """Build the images of the RUNTIMEs (else of all) that are missing or outdated."""
    settings, plugins = bootstrap(settings_files)
    with closing(_executor(settings, plugins)) as executor:
        tags = ensure_images(executor, _runtimes(settings, plugins, names), Steps())
    if as_json:
        print_json({"images": tags})
        return
    for tag in tags:
        click.echo(tag)


@images.command("list")
@settings_option
@json_option
def list_(settings_files: Sequence[Path], as_json: bool) -> None:
    """The image of each runtime, and whether it is there."""
    settings, plugins = bootstrap(settings_files)
    with closing(_executor(settings, plugins)) as executor:
        found = [_state(executor, runtime) for runtime in _runtimes(settings, plugins, ())]
    if as_json:
        print_json({"images": [asdict(one) for one in found]})
        return
    rows = [[one.runtime, one.tag, "yes" if one.present else "no"] for one in found]
    print_table(["RUNTIME", "IMAGE", "PRESENT"], rows)


def _state(executor: Executor, runtime: Runtime) -> ImageState:
    tag, digest = image_tag(runtime), image_digest(runtime)
    return ImageState(runtime.name, tag, digest, executor.has_image(tag, digest))


def _executor(settings: Settings, plugins: PluginManager) -> Executor:
    return plugins.executors.get(settings.executor.plugin)(_args(settings))


def _runtimes(settings: Settings, plugins: PluginManager, names: Sequence[str]) -> list[Runtime]:
    chosen = names or plugins.runtimes.names()
    if not chosen:
        raise PluginError("No language runtime is installed: pip install the0-runtime-python")
    return [plugins.runtimes.get(name)(_args(settings)) for name in chosen]


def _args(settings: Settings) -> PluginArgs:
    return PluginArgs(settings.general.instance, "", settings.state_dir.root, settings.sections)
