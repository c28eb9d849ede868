"""Plugins: language runtimes, executors, object storage and schedulers that a site installs.

A plugin is a pip distribution with an entry point in the group ``the0``. The module that it names
implements hooks of :mod:`the0.plugin.spec`, each marked with :data:`hookimpl`, and returns
classes; the behaviour sits on those classes, one abstract base per kind in
:mod:`the0.plugin.interfaces`::

    # pyproject.toml:  [project.entry-points.the0]  example = "the0_runtime_example"
    from the0.plugin import Runtime, hookimpl

    class ExampleRuntime(Runtime):
        name = "example1"
        ...

    @hookimpl
    def the0_register_runtime() -> type[Runtime]:
        return ExampleRuntime

Docker and cron are registered in exactly this way.
"""

from the0.plugin.interfaces import (
    API_VERSION,
    Executor,
    PluginArgs,
    Runtime,
    Scheduler,
    Storage,
)
from the0.plugin.marker import hookimpl

__all__ = ["API_VERSION", "Executor", "PluginArgs", "Runtime", "Scheduler", "Storage", "hookimpl"]
