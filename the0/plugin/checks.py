"""Whether a class may serve as a plugin, and which plugins claim the same thing. Pure."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from the0.plugin.discovery import Candidate
from the0.plugin.interfaces import API_VERSION, Executor, Plugin, Runtime, Scheduler, Storage
from the0.plugin.registry import claimed_names
from the0.settings import CORE_SECTIONS, section_name

KINDS: dict[str, type[Plugin]] = {
    "runtime": Runtime,
    "executor": Executor,
    "storage": Storage,
    "scheduler": Scheduler,
}


def as_classes(returned: Any) -> list[Any]:
    """What a hook returned, as a list: one class, or a list or tuple of them."""
    return list(returned) if isinstance(returned, list | tuple) else [returned]


def class_fault(kind: str, cls: Any) -> str | None:
    """Why `cls` cannot be a plugin of `kind`; None when it can."""
    base = KINDS[kind]
    if not inspect.isclass(cls) or not issubclass(cls, base):
        return f"the0_register_{kind} gave {cls!r}, which is no subclass of {base.__name__}"
    where = f"{cls.__module__}.{cls.__qualname__}"
    if getattr(cls, "api_version", None) != API_VERSION:
        return f"{where} has api_version {cls.api_version!r}; this host knows {API_VERSION}"
    missing = sorted(getattr(cls, "__abstractmethods__", ()))
    if missing:
        return f"{where} does not implement {', '.join(missing)}"
    return _name_fault(where, cls) or _section_fault(where, cls)


def _name_fault(where: str, cls: type[Plugin]) -> str | None:
    if not isinstance(getattr(cls, "name", None), str) or not cls.name:
        return f"{where} has no name"
    aliases = getattr(cls, "aliases", ())
    if isinstance(aliases, str) or not all(isinstance(a, str) and a for a in aliases):
        return f"{where} has aliases {aliases!r}, which are no list of names"
    return None


def _section_fault(where: str, cls: type[Plugin]) -> str | None:
    if cls.settings is not None and not isinstance(section_name(cls.settings), str):
        return f"{where}.settings is not made with the0.settings.section"
    return None


def refuse_clashes(candidates: Sequence[Candidate]) -> None:
    """Set aside every plugin that claims a name, alias or settings section of another's."""
    claims: dict[str, list[tuple[Candidate, type]]] = defaultdict(list)
    for candidate in candidates:
        for kind, cls in candidate.classes:
            for claim in _claims(kind, cls):
                claims[claim].append((candidate, cls))
    core = {f"settings section [{section_name(section)}]" for section in CORE_SECTIONS}
    for claim, claimants in claims.items():
        if len({cls for _, cls in claimants}) > 1 or claim in core:
            _refuse(claim, [candidate for candidate, _ in claimants], claim in core)


def _claims(kind: str, cls: type[Plugin]) -> Iterable[str]:
    yield from {f"{kind} {name!r}" for name in claimed_names(cls)}
    if cls.settings is not None:
        yield f"settings section [{section_name(cls.settings)}]"


def _refuse(claim: str, claimants: Sequence[Candidate], core: bool) -> None:
    owners = {f"distribution {candidate.distribution!r}" for candidate in claimants}
    owners |= {"the platform itself"} if core else set()
    who = " and ".join(sorted(owners))
    for candidate in claimants:
        candidate.give_up(f"the {claim} is claimed by {who}; name one in plugins.block")
