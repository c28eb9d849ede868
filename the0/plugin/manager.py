"""Finds, loads and checks plugins; the only module that calls pluggy.

A plugin with a fault never takes the host down: it is listed as broken, and PluginError is raised
when a name is needed that nobody else provides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pluggy

from the0.plugin import spec
from the0.plugin.checks import KINDS, as_classes, class_fault, refuse_clashes
from the0.plugin.discovery import Candidate, discover, import_plugin, not_installed, one_line
from the0.plugin.interfaces import Executor, Runtime, Scheduler, Storage
from the0.plugin.marker import PROJECT
from the0.plugin.registry import Registry
from the0.plugin.time_limit import TookTooLong, time_limit
from the0.settings import PluginSettings


@dataclass(frozen=True)
class PluginInfo:
    """One installed plugin as `the0 plugins` lists it.

    `name` is the entry point's, `kinds` and `names` are what it registers, `hooks` those it
    implements; `status` is `loaded`, `blocked` or `broken`, and `fault` says why.
    """

    name: str
    distribution: str
    version: str
    kinds: tuple[str, ...]
    names: tuple[str, ...]
    hooks: tuple[str, ...]
    status: str
    fault: str = ""


class PluginManager:
    """The plugins of this environment, by kind and name. Made by :meth:`load` and passed down."""

    def __init__(self, candidates: Sequence[Candidate], warnings: Sequence[str] = ()) -> None:
        self._candidates = tuple(candidates)
        self.warnings = tuple(warnings)
        self.runtimes: Registry[Runtime] = self._registry("runtime")
        self.executors: Registry[Executor] = self._registry("executor")
        self.storages: Registry[Storage] = self._registry("storage")
        self.schedulers: Registry[Scheduler] = self._registry("scheduler")

    @classmethod
    def load(
        cls,
        allow: Sequence[str] = (),
        block: Sequence[str] = (),
        max_sec: float = PluginSettings().load_sec,
    ) -> PluginManager:
        """Import all installed plugins that `allow` (empty: all) and `block` (wins) let through;
        both name distributions. Never raises for a plugin's fault; one that takes longer than
        `max_sec` to import, or in its hooks, is at fault."""
        candidates = discover(allow, block)
        for candidate in candidates:
            if candidate.usable:
                import_plugin(candidate, max_sec)
        _register_all([candidate for candidate in candidates if candidate.usable], max_sec)
        refuse_clashes(candidates)
        missing = not_installed(candidates, [*allow, *block])
        return cls(candidates, [_not_installed_text(name) for name in missing])

    def plugins(self) -> list[PluginInfo]:
        """Every installed plugin: loaded, blocked and broken ones."""
        return [_info(candidate) for candidate in self._candidates]

    def sections(self) -> tuple[type, ...]:
        """The settings sections that the loaded plugins declare, each once."""
        found = (cls.settings for _, cls in self._classes() if cls.settings is not None)
        return tuple(dict.fromkeys(found))

    @property
    def all_loaded(self) -> bool:
        """False when a plugin is blocked or broken."""
        return all(candidate.usable for candidate in self._candidates)

    def _classes(self) -> Iterable[tuple[str, Any]]:
        for candidate in self._candidates:
            yield from candidate.classes

    def _registry(self, kind: str) -> Registry[Any]:
        classes = [cls for its_kind, cls in self._classes() if its_kind == kind]
        return Registry(kind, classes, [_set_aside(c) for c in self._candidates if not c.usable])


def _register_all(candidates: Sequence[Candidate], max_sec: float) -> None:
    pm = pluggy.PluginManager(PROJECT)
    pm.add_hookspecs(spec)
    for candidate in candidates:
        try:
            with time_limit(max_sec):
                _register(pm, candidate)
        except (Exception, SystemExit, TookTooLong) as error:
            candidate.give_up(one_line(error))
            if pm.has_plugin(candidate.label):
                pm.unregister(name=candidate.label)


def _register(pm: pluggy.PluginManager, candidate: Candidate) -> None:
    pm.register(candidate.module, name=candidate.label)
    pm.check_pending()
    for kind in KINDS:
        for hook in getattr(pm.hook, f"the0_register_{kind}").get_hookimpls():
            if hook.plugin_name == candidate.label:
                candidate.hooks.append(f"the0_register_{kind}")
                _collect(candidate, kind, hook.function())
    if not candidate.hooks:
        candidate.give_up("registers nothing: mark its hooks with @hookimpl")


def _collect(candidate: Candidate, kind: str, returned: Any) -> None:
    for cls in as_classes(returned):
        fault = class_fault(kind, cls)
        if fault:
            candidate.give_up(fault)
        elif candidate.usable:
            candidate.classes.append((kind, cls))


def _info(candidate: Candidate) -> PluginInfo:
    return PluginInfo(
        name=candidate.name,
        distribution=candidate.distribution,
        version=candidate.version,
        kinds=tuple(dict.fromkeys(kind for kind, _ in candidate.classes)),
        names=tuple(cls.name for _, cls in candidate.classes),
        hooks=tuple(candidate.hooks),
        status="blocked" if candidate.blocked else "broken" if candidate.fault else "loaded",
        fault=candidate.fault,
    )


def _set_aside(candidate: Candidate) -> str:
    reason = candidate.fault or "blocked by the settings plugins.allow and plugins.block"
    return f"{candidate.label}: {reason}"


def _not_installed_text(name: str) -> str:
    return f"plugins.allow or plugins.block names {name!r}, but no plugin of that name is installed"
