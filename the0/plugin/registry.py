"""From names to plugin classes of one kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from the0.errors import PluginError
from the0.plugin.interfaces import Plugin

P = TypeVar("P", bound=Plugin)

_WORDS = {"nodejs": "node", "rust": "native", "gcc": "native", "cpp": "native", "ghc": "native"}
"""Where names of the contract do not begin with the word of the distribution they come from."""


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
            f"Install the one that does, for example: pip install {self._distribution(name)}",
            *(f"  not in use: {line}" for line in self._set_aside),
        ]
        return "\n".join(lines)

    def _distribution(self, name: str) -> str:
        """By convention `the0-<kind>-<word>`: `python3.11` comes from the0-runtime-python."""
        found = re.match(r"[a-z]+", name.lower())
        word = found.group() if found else "<name>"
        return f"the0-{self.kind}-{_WORDS.get(word, word)}"
