"""All hooks, on one page.

Each is called once, when the host or a command starts and after the plugin's module was imported.
It takes nothing and returns a class, or a list of classes, of the kind in its name. A plugin
implements those it needs and no others: an unknown hook is refused by name.
"""

from __future__ import annotations

from collections.abc import Sequence

from the0.plugin.interfaces import Executor, Runtime, Scheduler, Storage
from the0.plugin.marker import hookspec


@hookspec
def the0_register_runtime() -> type[Runtime] | Sequence[type[Runtime]]:  # type: ignore[empty-body]
    """Languages: chosen by `runtime` in a bot's document, by name or alias."""


@hookspec
def the0_register_executor() -> type[Executor] | Sequence[type[Executor]]:  # type: ignore[empty-body]
    """Where containers run: chosen by the setting `executor.plugin`."""


@hookspec
def the0_register_storage() -> type[Storage] | Sequence[type[Storage]]:  # type: ignore[empty-body]
    """Object stores: chosen by the setting `storage.plugin`."""


@hookspec
def the0_register_scheduler() -> type[Scheduler] | Sequence[type[Scheduler]]:  # type: ignore[empty-body]
    """What "due" means for scheduled bots: `cron` unless a schedule says otherwise."""
