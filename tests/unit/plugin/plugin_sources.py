"""Sources of plugins for tests."""

from __future__ import annotations

from collections.abc import Callable

Install = Callable[..., None]

RUNTIME = """
from the0.plugin import Runtime, hookimpl

class {cls}(Runtime):
    name = "{name}"
    aliases = {aliases}
    def image(self): ...
    def processes(self, entrypoints): ...
    def check_project(self, project, entrypoints): ...
    def vendor(self, project, progress): ...

@hookimpl
def the0_register_runtime():
    return {cls}
"""


def runtime(name: str, *aliases: str) -> str:
    """The source of a plugin with one runtime."""
    return RUNTIME.format(cls="Made", name=name, aliases=aliases)
