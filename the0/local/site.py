"""One view of the local installation: its folder, its settings in effect, its plugins."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from the0.config import Settings, bootstrap
from the0.core.installation import Claim, claim
from the0.core.views import tracked
from the0.files import write_atomic
from the0.local.paths import LocalPaths
from the0.models import Container
from the0.plugin.interfaces import Executor, PluginArgs, Runtime, Storage
from the0.plugin.manager import PluginManager
from the0.repository import Repository

T = TypeVar("T")


@dataclass(frozen=True)
class Site:
    """`settings` are those that the local host runs with."""

    paths: LocalPaths
    settings: Settings
    plugins: PluginManager

    @classmethod
    def load(cls, paths: LocalPaths) -> Site:
        # The file holds every setting; variables of whoever asks now are not those of the host.
        settings, plugins = bootstrap([paths.settings], {})
        return cls(paths, settings, plugins)

    @contextmanager
    def executor(self, installation: str = "") -> Iterator[Executor]:
        chosen = self.plugins.executors.get(self.settings.executor.plugin)
        with closing(chosen(self._args(installation))) as executor:
            yield executor

    @contextmanager
    def storage(self) -> Iterator[Storage]:
        chosen = self.plugins.storages.get(self.settings.storage.plugin)
        with closing(chosen(self._args(""))) as storage:
            yield storage

    def runtimes(self) -> list[Runtime]:
        registry = self.plugins.runtimes
        return [registry.get(name)(self._args("")) for name in registry.names()]

    def claim(self, engine_id: str) -> str:
        """The installation's id. Raises Conflict when it, or its MongoDB, is another's."""

        async def ask(repository: Repository) -> str:
            settings = self.settings
            mine = Claim(
                settings.general.instance, engine_id, settings.state_dir.root, self._containers_of
            )
            return await claim(repository, mine)

        return asyncio.run(self._asked(ask))

    def unsaved_bots(self, installation: str) -> Collection[str]:
        """Bots whose volumes may hold state that the store has not."""

        async def ask(repository: Repository) -> Collection[str]:
            records = await repository.statuses(installation)
            return {
                bot_id
                for bot_id, status in records.items()
                if "tracked" not in status or tracked(status["tracked"]).unsaved
            }

        return asyncio.run(self._asked(ask))

    async def _asked(self, ask: Callable[[Repository], Awaitable[T]]) -> T:
        repository = Repository(self.settings.mongo)
        try:
            return await ask(repository)
        finally:
            await repository.close()

    def _containers_of(self, installation: str) -> Sequence[Container]:
        with self.executor(installation) as executor:
            return executor.list()

    def _args(self, installation: str) -> PluginArgs:
        settings = self.settings
        return PluginArgs(
            settings.general.instance, installation, settings.state_dir.root, settings.sections
        )


@contextmanager
def alone(paths: LocalPaths) -> Iterator[None]:
    """Waits for any other start or stop of this folder to end."""
    paths.make()
    with paths.start_lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remember_installation(paths: LocalPaths, installation: str) -> None:
    """Keep the id where it can be read while no database runs."""
    write_atomic(paths.installation, installation.encode())


def remembered_installation(paths: LocalPaths) -> str | None:
    """None before the first start came so far."""
    return paths.installation.read_text() if paths.installation.exists() else None
