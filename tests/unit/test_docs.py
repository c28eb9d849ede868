"""What the documents name exists: files, commands with their options, targets, settings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from the0.cli.main import the0 as cli
from the0.config import load_settings
from the0.plugin.manager import PluginManager
from the0.settings import CORE_SECTIONS

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```(?:sh|bash)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#]+?)(?:#[^)]*)?\)")
TARGET = re.compile(r"\bmake ([a-z]+)\b")
FILES = {"api.token", "gateway.lock", "query.lock", "runner.lock"}
"""Files of the state directory, whose names look like settings."""
OURS = re.compile(r"(?:the0|hosts|plugins|examples|tests|bench|docs|deploy|scripts)/[\w./-]*\w/?")


def commands(text: str) -> Iterator[str]:
    """Lines that begin with `the0 `, in blocks and in running text."""
    for block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield from [line] if line.lstrip("$ ").startswith("the0 ") else []
    for code in CODE.findall(text):
        yield from [code] if code.startswith("the0 ") else []


def alternatives(line: str) -> Iterator[list[str]]:
    """`the0 local start|stop` stands for one command each."""
    words = shlex.split(line.lstrip("$ "), comments=True)
    split = [word.split("|") if re.fullmatch(r"[a-z|-]+", word) else [word] for word in words]
    for number in range(max(map(len, split))):
        yield [choices[min(number, len(choices) - 1)] for choices in split]


def unknown_part(words: list[str]) -> str | None:
    """The first word of a command line that names no command or option; None when all do."""
    command: click.Command = cli
    context = click.Context(cli)
    for word in words[1:]:
        if word.startswith("-"):
            known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
            if word.split("=")[0] not in known | {"--help", "-h"}:
                return word
        elif isinstance(command, click.Group):
            found = command.get_command(context, word)
            if found is None:
                return None if word == "…" else word
            command = found
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page: Path) -> None:
    for line in commands(page.read_text()):
        for words in alternatives(line):
            assert unknown_part(words) is None, f"{page.name}: {line!r} names {unknown_part(words)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text()
    named = {
        name
        for code in [*FENCE.findall(text), *CODE.findall(text)]
        for name in TARGET.findall(code)
    }
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    links = [page.parent / link for link in LINK.findall(text) if "://" not in link]
    paths = [ROOT / code for code in CODE.findall(text) if OURS.fullmatch(code)]
    missing = [str(path) for path in [*links, *paths] if not path.exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_exist(page: Path) -> None:
    sections = (*CORE_SECTIONS, *PluginManager.load().sections())
    settings = load_settings(sections, (), {})
    known = {
        f"{section.__section__}.{name}" if section.__section__ else name
        for section, value in settings.sections.items()
        for name in value.__dataclass_fields__
    }
    tables = {name.split(".")[0] for name in known if "." in name}
    dotted = re.compile(rf"(?:{'|'.join(sorted(tables))})\.[a-z_]+")
    named = {code for code in CODE.findall(page.read_text()) if dotted.fullmatch(code)}
    assert named <= known | FILES, f"no such settings: {sorted(named - known - FILES)}"


def test_the_check_can_fail() -> None:
    assert unknown_part(["the0", "bot", "fly"]) == "fly"
    assert unknown_part(["the0", "bot", "list", "--wings"]) == "--wings"
    assert list(alternatives("the0 local start|stop")) == [
        ["the0", "local", "start"],
        ["the0", "local", "stop"],
    ]
