"""settings.toml and docs/settings.md, written from the declarations.

``python -m the0.settings_docs`` in the checkout's root writes both; a test holds them to the code.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_type_hints

from the0.plugin.manager import PluginManager
from the0.settings import (
    CORE_SECTIONS,
    IGNORED_ENV,
    Declaration,
    seconds,
    section_fields,
    section_name,
)
from the0.settings_values import bounds, type_name

TOML_FILE = Path("settings.toml")
PAGE_FILE = Path("docs/settings.md")

_TOML_HEAD = """\
# Settings of the0: every setting with its default. Uncomment a line to change it.
#
# Read in this order, later ones win: these defaults, /etc/the0/settings.toml, ./settings.toml, the
# file of --settings, the environment (THE0_<SECTION>__<NAME>, or the variable named at a setting).
# Durations are seconds, or text like "500ms", "30s", "1m30s", "2h". See docs/settings.md.
"""

_PAGE_HEAD = """\
# Settings

Generated from the declarations in `the0/settings.py` and in the plugins by
`python -m the0.settings_docs`; do not edit.

Settings are read in this order, and later ones win: the defaults below, `/etc/the0/settings.toml`,
`./settings.toml`, the file of `--settings`, the environment. Every setting can be given as
`THE0_<SECTION>__<NAME>` (general ones as `THE0_<NAME>`); a variable named in a table below means
the same and wins over it. Lists in variables are written `a,b`, or as in TOML. Durations are
seconds, or text like `500ms`, `30s`, `1m30s`, `2h`, `1d`.

A host refuses to start on a wrong value or an unknown name. It says all faults at once, each with
the setting, where it came from, the value seen (secrets masked) and what is allowed.
"""


def documented_sections() -> list[type]:
    """The platform's own sections, then those of the installed plugins by name."""
    plugins = sorted(PluginManager.load().sections(), key=section_name)
    return [*CORE_SECTIONS, *plugins]


def settings_toml(sections: Iterable[type]) -> str:
    """settings.toml with every setting commented out at its default."""
    return "\n".join([_TOML_HEAD, *map(_toml_section, sections)])


def settings_page(sections: Iterable[type]) -> str:
    """docs/settings.md."""
    ignored = " and ".join(f"`{name}`" for name in IGNORED_ENV)
    tail = f"{ignored} of the predecessor are accepted with one warning each and have no effect.\n"
    return "\n".join([_PAGE_HEAD, *map(_page_section, sections), tail])


def variables(section: type, name: str, declaration: Declaration) -> tuple[str, ...]:
    """The environment variables of a setting, the one that wins first."""
    table = section_name(section)
    own = f"THE0_{table}__{name}" if table else f"THE0_{name}"
    return tuple(dict.fromkeys([*declaration.env, own.upper()]))


def _toml_section(section: type) -> str:
    table = section_name(section)
    lines = [f"[{table}]"] if table else []
    for name, declaration in section_fields(section).items():
        lines += ["", f"# {_meaning(section, name, declaration)}"]
        if declaration.env:
            lines.append(f"# Variable: {', '.join(declaration.env)}")
        lines.append(f"# {name} = {_toml(_default(section, name))}")
    return "\n".join(lines) + "\n"


def _page_section(section: type) -> str:
    table = section_name(section)
    lines = [
        f"## `[{table}]`" if table else "## General (no table)",
        "",
        "| setting | default | variable | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for name, declaration in section_fields(section).items():
        named = " ".join(f"`{v}`" for v in variables(section, name, declaration))
        meaning = _meaning(section, name, declaration).replace("|", "\\|").replace("<", "\\<")
        default = _toml(_default(section, name))
        lines.append(f"| `{name}` | `{default}` | {named} | {meaning} |")
    return "\n".join(lines) + "\n"


def _meaning(section: type, name: str, declaration: Declaration) -> str:
    kind = get_type_hints(section)[name]
    if declaration.parse is seconds:
        what = "a duration"
    elif declaration.parse or kind in (str, bool):
        what = ""
    else:
        what = type_name(kind)
    allowed = " ".join(filter(None, (what, bounds(declaration))))
    notes = [note for note in (allowed, "secret" if declaration.secret else "") if note]
    return declaration.help + (f" ({'; '.join(notes)})" if notes else "")


def _default(section: type, name: str) -> Any:
    return next(f.default for f in dataclasses.fields(section) if f.name == name)


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return json.dumps(list(value))
    return json.dumps(value) if isinstance(value, str | bool) else str(value)


def main() -> None:
    """Write both files below the working directory."""
    sections = documented_sections()
    TOML_FILE.write_text(settings_toml(sections))
    PAGE_FILE.write_text(settings_page(sections))


if __name__ == "__main__":
    main()
