"""`the0 plugin new`: a complete distribution to begin a plugin with."""

from __future__ import annotations

import re
import shutil
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

import click

from the0.cli.output import say
from the0.errors import Conflict, InvalidInput
from the0.plugin.manager import PluginManager
from the0.settings import CORE_SECTIONS, section_name

KINDS = ("runtime", "storage", "executor", "scheduler")
TEMPLATES = Path(__file__).with_name("plugin_templates")

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MAX_NAME = 40
_ABOUT: Mapping[str, tuple[str, str]] = {
    "runtime": (
        "A bot names it by `runtime: $name` in its bot-config.yaml.",
        "    the0 images build $name   # its image; the first bot would have it built, too",
    ),
    "storage": (
        'The setting `storage.plugin = "$name"` chooses it.',
        "Its own settings are the table `[$section]` of settings.toml.",
    ),
    "executor": (
        'The setting `executor.plugin = "$name"` chooses it.',
        "    the0 local start --executor $name",
    ),
    "scheduler": (
        "It gives schedules another meaning than cron's.",
        "Its expressions are shown in tests/test_scheduler.py.",
    ),
}


@dataclass(frozen=True)
class Names:
    """What a new plugin and its parts are called."""

    kind: str
    name: str

    @property
    def distribution(self) -> str:
        return f"the0-{self.kind}-{self.name}"

    @property
    def module(self) -> str:
        return self.distribution.replace("-", "_")

    @property
    def values(self) -> Mapping[str, str]:
        """By the names that the templates use."""
        section = self.name.replace("-", "_")
        camel = "".join(part.capitalize() for part in self.name.split("-"))
        return {
            "kind": self.kind,
            "name": self.name,
            "base": self.kind.capitalize(),
            "distribution": self.distribution,
            "module": self.module,
            "class_name": f"{camel}{self.kind.capitalize()}",
            "settings_name": f"{camel}Settings",
            "section": section,
            "section_upper": section.upper(),
        }


@click.group()
def plugin() -> None:
    """Write a plugin of your own; docs/plugins.md shows the way."""


@plugin.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where to write the folder; the current one unless given.",
)
def new(kind: str, name: str, into: Path) -> None:
    """Write a complete, tested distribution for a new plugin, named the0-KIND-NAME."""
    folder = write_plugin(Names(kind, checked(kind, name, PluginManager.load())), into)
    say(f"Wrote {folder}. Try it: cd {folder} && pip install -e '.[test]' && pytest")


def checked(kind: str, name: str, plugins: PluginManager) -> str:
    """`name`, if a plugin of `kind` can have it beside `plugins`. Raises InvalidInput."""
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
        raise InvalidInput(
            f"{name!r} cannot name a plugin: lower-case letters, digits and single dashes, "
            f"a letter first, at most {_MAX_NAME} characters."
        )
    if name in _registry(kind, plugins):
        raise InvalidInput(
            f"An installed plugin provides the {kind} {name!r} already; choose another name."
        )
    taken = {section_name(section) for section in (*CORE_SECTIONS, *plugins.sections())}
    if kind == "storage" and name.replace("-", "_") in taken:
        raise InvalidInput(f"{name!r} names a settings section that is taken; choose another.")
    return name


def _registry(kind: str, plugins: PluginManager) -> Container[str]:
    registries = (plugins.runtimes, plugins.storages, plugins.executors, plugins.schedulers)
    return next(registry for registry in registries if registry.kind == kind)


def write_plugin(names: Names, into: Path) -> Path:
    """Write the distribution's folder into `into`; returns it. Raises Conflict when it is there
    already; what cannot be written leaves nothing."""
    folder = into / names.distribution
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise Conflict(f"{folder} exists already; nothing was written.") from None
    except OSError as error:
        raise InvalidInput(f"{folder} cannot be made: {error.strerror}.") from error
    try:
        for path, text in files(names).items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(text)
    except BaseException:
        shutil.rmtree(folder)
        raise
    return folder


def files(names: Names) -> Mapping[str, str]:
    """The text of each file of the distribution, by its path."""
    kind, module = names.kind, names.module
    sources = {
        "pyproject.toml": "common/pyproject.toml",
        "README.md": "common/README.md",
        f"{module}/__init__.py": "common/__init__.py",
        f"{module}/py.typed": "common/py.typed",
        f"{module}/{kind}.py": f"{kind}/{kind}.py",
        f"tests/test_{kind}.py": f"{kind}/test.py",
    }
    about, use = (Template(text).substitute(names.values) for text in _ABOUT[kind])
    values = {**names.values, "about": about, "use": use}
    return {
        path: Template((TEMPLATES / f"{source}.txt").read_text()).substitute(values)
        for path, source in sources.items()
    }
