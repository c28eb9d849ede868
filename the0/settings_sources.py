"""Where settings come from: files, read by dynaconf, and the environment. Nothing is judged here.

Later sources win. Variables follow dynaconf's naming, `THE0_<SECTION>__<NAME>`, and the contract's
own names stand beside them; where both are set, the contract's wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dynaconf import Dynaconf

from the0.settings import section_fields, section_name

PREFIX = "THE0_"
STANDARD_FILES = (Path("/etc/the0/settings.toml"), Path("settings.toml"))
OTHER_VARIABLES = frozenset(
    {
        *("THE0_LAUNCH", "THE0_TOKEN", "THE0_QUERY_PORT"),
        *("THE0_API_URL", "THE0_API_TOKEN", "THE0_LOCAL_DIR", "THE0_SOAK"),
    }
)
"""Variables with our prefix that are no settings: those of containers and of the command line."""

Key = tuple[str, str]
"""Section and name, in lower case; the section is empty for the general settings."""


@dataclass(frozen=True)
class Given:
    """A value as it was given, and where: `a.toml` or `environment variable X`."""

    value: Any
    source: str


@dataclass
class Layers:
    """All values given, the winning one for each key, and what could not be read at all."""

    values: dict[Key, Given] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def read_layers(
    sections: Iterable[type], files: Sequence[Path] | None, environ: Mapping[str, str]
) -> Layers:
    """The values of `files` (None: the standard ones that exist), overridden by `environ`.

    A variable of the contract that is empty counts as not set: Compose makes such of `${X:-}`.
    """
    layers = Layers()
    sections = tuple(sections)
    contract = _contract_names(sections)
    environ = {name: text for name, text in environ.items() if text or name not in contract}
    if files is None:
        files = [path for path in STANDARD_FILES if path.exists()]
    for path in files:
        _read_file(layers, path)
    _read_prefixed(layers, environ)
    _read_contract_names(layers, sections, environ)
    return layers


def without_settings(environ: Mapping[str, str], sections: Iterable[type]) -> dict[str, str]:
    """`environ` without the variables that set anything of `sections`."""
    contract = _contract_names(sections)
    return {
        name: text for name, text in environ.items() if not (_is_prefixed(name) or name in contract)
    }


def _contract_names(sections: Iterable[type]) -> set[str]:
    return {v for cls in sections for one in section_fields(cls).values() for v in one.env}


def _read_file(layers: Layers, path: Path) -> None:
    try:
        path.read_bytes()
        loaded = _dynaconf(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        layers.faults.append(f"{path}: cannot be read: {reason}")
        return
    for name, value in loaded.items():
        table = value if isinstance(value, Mapping) else {"": value}
        for inner, content in table.items():
            key = (name.lower(), inner.lower()) if inner else ("", name.lower())
            layers.values[key] = Given(content, str(path))


def _dynaconf(path: Path) -> dict[str, Any]:
    """What dynaconf makes of one TOML file, without its own internals. Text is taken as it stands:
    a secret may begin like a command, with `@int` or `@format`."""
    reader = Dynaconf(
        settings_files=[str(path.resolve())],
        envvar_prefix=None,
        environments=False,
        load_dotenv=False,
        auto_cast=False,
        core_loaders=["TOML"],
        loaders=[],
    )
    reader.reload()
    from_files = [
        data for source, data in reader.loaded_by_loaders.items() if source.loader == "toml"
    ]
    return {name: value for data in from_files for name, value in data.items()}


def _read_prefixed(layers: Layers, environ: Mapping[str, str]) -> None:
    for variable, text in environ.items():
        if _is_prefixed(variable):
            table, _, name = variable.removeprefix(PREFIX).lower().rpartition("__")
            layers.values[table, name] = Given(text, f"environment variable {variable}")


def _is_prefixed(variable: str) -> bool:
    return variable.startswith(PREFIX) and variable not in OTHER_VARIABLES


def _read_contract_names(
    layers: Layers, sections: Iterable[type], environ: Mapping[str, str]
) -> None:
    for section in sections:
        for name, declaration in section_fields(section).items():
            given = [variable for variable in declaration.env if variable in environ]
            for variable in given[:1]:
                source = f"environment variable {variable}"
                layers.values[section_name(section), name] = Given(environ[variable], source)
