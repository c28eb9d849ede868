"""From names to plugin classes of one kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from the0.errors import PluginError
from the0.plugin.interfaces import Plugin

P = TypeVar("P", bound=Plugin)

_OURS = {
    "the0-runtime-python": ("python3.11", "python3", "python"),
    "the0-runtime-node": ("nodejs20", "nodejs"),
    "the0-runtime-native": ("rust-stable", "gcc13", "cpp-gcc13", "ghc96"),
    "the0-storage-minio": ("minio",),
}
"""What our own distributions provide, to be named where one of them is not installed."""


def claimed_names(cls: type[Plugin]) -> tuple[str, ...]:
    """The name of `cls` and its aliases, the name first."""
    return (cls.name, *getattr(cls, "aliases", ()))


class Registry(Generic[P]):
    """The classes of one kind (`runtime`, `executor`, `storage`, `scheduler`) by name and alias.

    `set_aside` has a line for each plugin that is installed but not used, with the reason; it is
    told whenever a name is missed.
    """

    def __init__(
        self, kind: str, classes: Iterable[type[P]], set_aside: Sequence[str] = ()
    ) -> None:
        self.kind = kind
        self._set_aside = tuple(set_aside)
        self._classes = {cls.name: cls for cls in classes}
        self._by_name = {name: cls for cls in self._classes.values() for name in claimed_names(cls)}

    def names(self) -> list[str]:
        """The classes' own names, sorted; aliases are left out."""
        return sorted(self._classes)

    def classes(self) -> list[type[P]]:
        """Every class once, by name."""
        return [self._classes[name] for name in self.names()]

    def get(self, name: str) -> type[P]:
        """The class with this name or alias; PluginError with what there is and how to get it."""
        try:
            return self._by_name[name]
        except KeyError:
            raise PluginError(self._missing(name)) from None

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def _missing(self, name: str) -> str:
        there = ", ".join(self.names()) or "none"
        lines = [
            f"No plugin provides the {self.kind} {name!r} (there is: {there}). "
            f"{self._remedy(name)}",
            *(f"  not in use: {line}" for line in self._set_aside),
        ]
        return "\n".join(lines)

    def _remedy(self, name: str) -> str:
        for distribution, names in _OURS.items():
            if name in names and distribution.startswith(f"the0-{self.kind}-"):
                return f"Install it: pip install {distribution}"
        return (
            "No distribution of the0 does: install the one that does, or write it "
            f"(`the0 plugin new {self.kind} NAME`, docs/plugins.md)"
        )
