"""Loads the settings: declared defaults < files < environment, every fault told at once.

The declarations stand in :mod:`the0.settings` and in the plugins; where values come from is
:mod:`the0.settings_sources`, what they may be :mod:`the0.settings_values`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from the0.errors import InvalidSettings
from the0.plugin.manager import PluginManager
from the0.settings import (
    CORE_SECTIONS,
    IGNORED_ENV,
    ApiSettings,
    ArchiveSettings,
    Declaration,
    EgressSettings,
    ExecutorSettings,
    GeneralSettings,
    LimitSettings,
    LogSettings,
    MetricsSettings,
    MongoSettings,
    NatsSettings,
    PluginSettings,
    QueryPoolSettings,
    QuerySettings,
    RunnerSettings,
    SchedulerSettings,
    StorageSettings,
    SyncSettings,
    section_fields,
    section_name,
)
from the0.settings_rules import rule_faults
from the0.settings_sources import STANDARD_FILES, Key, Layers, read_layers
from the0.settings_values import read_value, shown
from the0.state_dir import StateDir, default_root

__all__ = ["Settings", "StateDir", "bootstrap", "load_settings"]

S = TypeVar("S")
Values = Mapping[type, Any]


@dataclass(frozen=True)
class Settings:
    """All settings in effect, one frozen dataclass a section; `warnings` are for the start."""

    sections: Mapping[type, Any]
    warnings: tuple[str, ...] = ()

    def section(self, cls: type[S]) -> S:
        """The values of section `cls`."""
        found: S = self.sections[cls]
        return found

    @property
    def general(self) -> GeneralSettings:
        return self.section(GeneralSettings)

    @property
    def plugins(self) -> PluginSettings:
        return self.section(PluginSettings)

    @property
    def mongo(self) -> MongoSettings:
        return self.section(MongoSettings)

    @property
    def nats(self) -> NatsSettings:
        return self.section(NatsSettings)

    @property
    def storage(self) -> StorageSettings:
        return self.section(StorageSettings)

    @property
    def executor(self) -> ExecutorSettings:
        return self.section(ExecutorSettings)

    @property
    def limits(self) -> LimitSettings:
        return self.section(LimitSettings)

    @property
    def runner(self) -> RunnerSettings:
        return self.section(RunnerSettings)

    @property
    def scheduler(self) -> SchedulerSettings:
        return self.section(SchedulerSettings)

    @property
    def sync(self) -> SyncSettings:
        return self.section(SyncSettings)

    @property
    def logs(self) -> LogSettings:
        return self.section(LogSettings)

    @property
    def archive(self) -> ArchiveSettings:
        return self.section(ArchiveSettings)

    @property
    def egress(self) -> EgressSettings:
        return self.section(EgressSettings)

    @property
    def api(self) -> ApiSettings:
        return self.section(ApiSettings)

    @property
    def query(self) -> QuerySettings:
        return self.section(QuerySettings)

    @property
    def query_pool(self) -> QueryPoolSettings:
        return self.section(QueryPoolSettings)

    @property
    def metrics(self) -> MetricsSettings:
        return self.section(MetricsSettings)

    @property
    def state_dir(self) -> StateDir:
        """`state_dir`, or its default for this instance and user."""
        given = self.general.state_dir
        return StateDir(Path(given) if given else default_root(self.general.instance))


def load_settings(
    sections: Iterable[type] = CORE_SECTIONS,
    files: Sequence[Path] | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    all_declared: bool = True,
    needed: Callable[[Values], Iterable[type]] = lambda _: (),
) -> Settings:
    """Read and check the settings of `sections` from `files` (None: /etc/the0/settings.toml and
    ./settings.toml, as far as they exist) and `environ`.

    Raises InvalidSettings with every fault: wrong values, unknown names, unreadable files. With
    `all_declared` false (a plugin is blocked or broken), unknown sections are warnings only.
    `needed` names, given all values, the sections whose required settings have to be set.
    """
    sections = tuple(sections)
    layers = read_layers(sections, files, environ)
    loader = _Loader(sections, layers)
    values = loader.read_sections()
    loader.judge_unknown(all_declared)
    loader.faults.extend(rule_faults(values))
    loader.judge_missing(values, needed(values))
    settings = Settings(values, tuple([*loader.warnings, *_ignored(environ)]))
    if GeneralSettings in values and not settings.state_dir.fits_sockets:
        loader.faults.append(f"state_dir = {str(settings.state_dir.root)!r} is too long a path")
    if loader.faults:
        raise InvalidSettings("Settings were refused:", loader.faults)
    return settings


def bootstrap(
    settings_files: Sequence[Path] = (),
    environ: Mapping[str, str] = os.environ,
    *,
    for_host: bool = False,
) -> tuple[Settings, PluginManager]:
    """The plugins of this site and the settings with the plugins' own sections.

    `settings_files` (of `--settings`) are read after the standard ones. Raises InvalidSettings;
    `for_host`, also for what a host cannot do without and is not set, and PluginError when the
    storage or the executor that is chosen is not there.
    """
    files = [*(path for path in STANDARD_FILES if path.exists()), *settings_files]
    try:
        chosen = load_settings([PluginSettings], files, environ, all_declared=False).plugins
    except InvalidSettings:
        load_settings(CORE_SECTIONS, files, environ, all_declared=False)  # tells the others too
        raise
    plugins = PluginManager.load(chosen.allow, chosen.block, chosen.load_sec)
    settings = load_settings(
        [*CORE_SECTIONS, *plugins.sections()],
        files,
        environ,
        all_declared=plugins.all_loaded,
        needed=_sections_of_host(plugins) if for_host else lambda _: (),
    )
    if for_host:
        plugins.storages.get(settings.storage.plugin)
        plugins.executors.get(settings.executor.plugin)
    return Settings(settings.sections, (*settings.warnings, *plugins.warnings)), plugins


def _sections_of_host(plugins: PluginManager) -> Callable[[Values], Iterable[type]]:
    """The platform's sections, and those of the storage and the executor that are chosen."""

    def sections(values: Values) -> Iterable[type]:
        yield from CORE_SECTIONS
        for registry, cls in (
            (plugins.storages, StorageSettings),
            (plugins.executors, ExecutorSettings),
        ):
            name = values[cls].plugin
            if name in registry and (section := registry.get(name).settings):
                yield section

    return sections


class _Loader:
    """Turns layers into sections, gathering faults and warnings."""

    def __init__(self, sections: Sequence[type], layers: Layers) -> None:
        self.sections = sections
        self.given = layers.values
        self.faults = list(layers.faults)
        self.warnings: list[str] = []
        self.refused: set[Key] = set()

    def read_sections(self) -> dict[type, Any]:
        return {cls: self._read_section(cls) for cls in self.sections}

    def _read_section(self, cls: type) -> Any:
        kinds = get_type_hints(cls)
        values = {}
        for name, declaration in section_fields(cls).items():
            given = self.given.get((section_name(cls), name))
            if given is None:
                continue
            try:
                values[name] = read_value(declaration, kinds[name], given.value)
            except ValueError as error:
                self.refused.add((section_name(cls), name))
                path, seen = _path(section_name(cls), name), shown(declaration, given.value)
                self.faults.append(f"{path} = {seen} ({given.source}): {error}")
        return cls(**values)

    def judge_unknown(self, all_declared: bool) -> None:
        """Every name that no section declares is a fault; in a section that nobody declares only
        when all declarations are known."""
        known: set[Key] = {
            (section_name(cls), name) for cls in self.sections for name in section_fields(cls)
        }
        tables = {table for table, _ in known}
        for key in self.given.keys() - known:
            text = f"{_path(*key)} ({self.given[key].source}): {_unknown_text(key, known)}"
            tolerated = not all_declared and key[0] not in tables
            (self.warnings if tolerated else self.faults).append(text)
        self.faults.sort()

    def judge_missing(self, values: Values, needed: Iterable[type]) -> None:
        """Each required setting of the sections `needed` that nobody set is a fault."""
        for cls in needed:
            table = section_name(cls)
            for name, declaration in section_fields(cls).items():
                is_empty = getattr(values[cls], name) in ("", ())
                if declaration.required and is_empty and (table, name) not in self.refused:
                    self.faults.append(_missing_text(table, name, declaration))


def _unknown_text(key: Key, known: Iterable[Key]) -> str:
    names = [_path(*other) for other in known]
    near = difflib.get_close_matches(_path(*key), names, n=1, cutoff=0.7)
    hint = f"; did you mean {near[0]}?" if near else " (see docs/settings.md)"
    return f"there is no such setting{hint}"


def _ignored(environ: Mapping[str, str]) -> list[str]:
    return [
        f"The environment variable {name} has no effect here and is ignored."
        for name in IGNORED_ENV
        if name in environ
    ]


def _missing_text(table: str, name: str, declaration: Declaration) -> str:
    variables = (*declaration.env, f"THE0_{table}__{name}".upper())
    where = f"set it in settings.toml, or {variables[0]} in the environment"
    return f"{_path(table, name)} is missing: {where}"


def _path(table: str, name: str) -> str:
    return f"{table}.{name}" if table else name
