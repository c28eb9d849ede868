"""settings.toml and docs/settings.md, held to the declarations; and each setting to its effect."""

from __future__ import annotations

import ast
import dataclasses
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from the0.config import Settings, load_settings
from the0.settings import Declaration, section_fields, section_name
from the0.settings_docs import (
    PAGE_FILE,
    TOML_FILE,
    documented_sections,
    settings_page,
    settings_toml,
    variables,
)

ROOT = Path(__file__).parents[2]
SECTIONS = documented_sections()
CASES = [
    pytest.param(cls, name, id=".".join(filter(None, (section_name(cls), name))))
    for cls in SECTIONS
    for name in section_fields(cls)
]

# An allowed value that is not the default, for those whose parser wants a form of its own.
OF_ITS_FORM = {
    "": {"instance": "my-bots", "state_dir": "/srv/the0"},
    "mongo": {"uri": "mongodb://db:27017", "platform_database": "platform"},
    "nats": {"url": "nats://events:4222"},
    "egress": {"allow": ["10.1.2.0/24", "10.1.2.3:443"]},
    "api": {"host": "::1"},
    "metrics": {"host": "0.0.0.0"},
    "docker": {"log_max_size": "20m"},
    "local": {"folder": "/srv/objects"},
}
# Raised together with a setting that must not be above them.
CEILINGS = {
    "limits": {"max_memory_mb": 10**6, "max_cpus": 64.0, "max_pids": 10**6, "max_disk_mb": 10**6},
    "sync": {"interval_sec": 3600.0, "max_state_mb": 10**6},
    "runner": {"backoff_max_sec": 86400.0},
    "scheduler": {"retry_max_sec": 86400.0},
}


def test_settings_toml_is_up_to_date() -> None:
    assert (ROOT / TOML_FILE).read_text() == settings_toml(SECTIONS), "python -m the0.settings_docs"


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / PAGE_FILE).read_text() == settings_page(SECTIONS), "python -m the0.settings_docs"


def test_settings_toml_shows_the_defaults(tmp_path: Path) -> None:
    text = (ROOT / TOML_FILE).read_text()
    assert load_from(tmp_path, text).sections == load_from(tmp_path, "").sections
    uncommented = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    loaded = tomllib.loads(uncommented)
    for cls in SECTIONS:
        table = loaded[section_name(cls)] if section_name(cls) else loaded
        assert set(section_fields(cls)) <= set(table)
    assert load_from(tmp_path, uncommented).sections == load_from(tmp_path, "").sections


@pytest.mark.parametrize(("cls", "name"), CASES)
def test_a_setting_takes_effect_from_a_file(cls: type, name: str, tmp_path: Path) -> None:
    value = another_value(cls, name)
    text = toml_text(cls, {**CEILINGS.get(section_name(cls), {}), name: value})
    assert getattr(load_from(tmp_path, text).section(cls), name) == plain(value)


@pytest.mark.parametrize(("cls", "name"), CASES)
def test_a_setting_takes_effect_from_each_of_its_variables(cls: type, name: str) -> None:
    value = another_value(cls, name)
    ceilings = {
        f"THE0_{section_name(cls)}__{other}".upper(): str(ceiling)
        for other, ceiling in CEILINGS.get(section_name(cls), {}).items()
        if other != name
    }
    for variable in variables(cls, name, section_fields(cls)[name]):
        settings = load_settings(SECTIONS, [], {**ceilings, variable: variable_text(value)})
        assert getattr(settings.section(cls), name) == plain(value), variable


@pytest.mark.parametrize(("cls", "name"), CASES)
def test_a_setting_is_read_by_the_code(cls: type, name: str) -> None:
    """Some module takes its section (by class, or as `settings.<section>`) and reads the name."""
    section = section_name(cls) or "general"
    assert any(
        name in attributes and (cls.__name__ in names or section in attributes)
        for names, attributes in names_by_module()
    ), f"nothing reads {cls.__name__}.{name}"


def load_from(folder: Path, text: str) -> Settings:
    file = folder / "settings.toml"
    file.write_text(text)
    return load_settings(SECTIONS, [file], {})


def another_value(cls: type, name: str) -> Any:
    """An allowed value of the setting that differs from its default."""
    special = OF_ITS_FORM.get(section_name(cls), {})
    if name in special:
        return special[name]
    declaration: Declaration = section_fields(cls)[name]
    kind = get_type_hints(cls)[name]
    default = next(f.default for f in dataclasses.fields(cls) if f.name == name)
    if declaration.choices:
        return next(choice for choice in declaration.choices if choice != default)
    if kind is bool:
        return not default
    if kind in (int, float):
        return kind(default + 1 if fits(declaration, default + 1) else default - 1)
    return ["one", "two"] if kind is not str else "another-name"


def fits(declaration: Declaration, value: float) -> bool:
    return declaration.maximum is None or value <= declaration.maximum


def plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def variable_text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def toml_text(cls: type, values: dict[str, Any]) -> str:
    lines = [f"[{section_name(cls)}]"] if section_name(cls) else []
    for name, value in values.items():
        shown = str(value).lower() if isinstance(value, bool) else repr(value)
        lines.append(f"{name} = {shown}")
    return "\n".join(lines)


@cache
def names_by_module() -> list[tuple[set[str], set[str]]]:
    """The names and the attributes that each module uses, declarations of settings left out."""
    found = []
    for folder in ("the0", "hosts", "plugins"):
        for file in (ROOT / folder).rglob("*.py"):
            if not file.name.startswith(("settings", "test_")):
                nodes = list(ast.walk(ast.parse(file.read_text())))
                names = {node.id for node in nodes if isinstance(node, ast.Name)}
                attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
                found.append((names, attributes))
    return found
