"""Installed plugins: entry points of the group ``the0``, and the one place that imports them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from the0.plugin.time_limit import TookTooLong, time_limit

GROUP = "the0"
MAX_FAULT = 500


@dataclass
class Candidate:
    """One entry point on its way to being a plugin; `fault` or `blocked` ends that way."""

    name: str
    distribution: str
    version: str
    entry_point: EntryPoint
    blocked: bool = False
    fault: str = ""
    module: Any = None
    hooks: list[str] = field(default_factory=list)
    classes: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        return not (self.blocked or self.fault)

    @property
    def label(self) -> str:
        """For messages: `distribution 'x' 1.0 (entry point 'y')`."""
        return f"distribution {self.distribution!r} {self.version} (entry point {self.name!r})"

    def give_up(self, fault: str) -> None:
        """Set it aside; the first fault found is the one told."""
        self.fault = self.fault or fault
        self.classes.clear()


def normalised(distribution: str) -> str:
    """A distribution's name as package indexes compare it: `The0_X.y` is `the0-x-y`."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def discover(allow: Sequence[str], block: Sequence[str]) -> list[Candidate]:
    """Every entry point of the group, sorted by distribution; nothing is imported yet."""
    allowed, blocked = set(map(normalised, allow)), set(map(normalised, block))
    found = [_candidate(entry_point) for entry_point in entry_points(group=GROUP)]
    for candidate in found:
        name = normalised(candidate.distribution)
        candidate.blocked = name in blocked or bool(allowed and name not in allowed)
    found.sort(key=lambda candidate: (normalised(candidate.distribution), candidate.name))
    _refuse_taken_names(found)
    return found


def not_installed(candidates: Iterable[Candidate], names: Iterable[str]) -> list[str]:
    """Those of `names` (an allow or block list) that no installed plugin's distribution has."""
    installed = {normalised(candidate.distribution) for candidate in candidates}
    return [name for name in names if normalised(name) not in installed]


def import_plugin(candidate: Candidate, max_sec: float) -> None:
    """Import what the entry point names; whatever it raises becomes the candidate's fault."""
    try:
        with time_limit(max_sec):
            candidate.module = candidate.entry_point.load()
    except (Exception, SystemExit, TookTooLong) as error:
        candidate.give_up(f"cannot be imported: {one_line(error)}")


def one_line(error: BaseException) -> str:
    """`Type: its message` on one line of bounded length, for faults."""
    text = " ".join(str(error).split())[:MAX_FAULT]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _candidate(entry_point: EntryPoint) -> Candidate:
    distribution = entry_point.dist
    return Candidate(
        name=entry_point.name,
        distribution=distribution.name if distribution else "unknown",
        version=distribution.version if distribution else "",
        entry_point=entry_point,
    )


def _refuse_taken_names(candidates: Sequence[Candidate]) -> None:
    by_name: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        if not candidate.blocked:
            by_name[candidate.name].append(candidate)
    for name, same in by_name.items():
        if len(same) > 1:
            both = " and ".join(sorted({repr(c.distribution) for c in same}))
            for candidate in same:
                candidate.give_up(
                    f"distributions {both} both declare the entry point {name!r}; "
                    "remove one of them or name it in plugins.block"
                )
