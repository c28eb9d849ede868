"""Whether another installation works from the same MongoDB."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing

from the0.config import Settings
from the0.core.installation import SHARED_FIX, shared_text, signs_of_life
from the0.doctor.check import Check, fail
from the0.errors import The0Error
from the0.models import Container
from the0.plugin.interfaces import Executor, PluginArgs
from the0.plugin.manager import PluginManager
from the0.repository import Installation, Repository


def check_neighbours(settings: Settings, plugins: PluginManager) -> Iterator[Check]:
    """Nothing when there is none; nor when MongoDB or the engine does not answer, which checks of
    their own tell."""

    def executor(installation: str) -> closing[Executor]:
        root, sections = settings.state_dir.root, settings.sections
        args = PluginArgs(settings.general.instance, installation, root, sections)
        return closing(plugins.executors.get(settings.executor.plugin)(args))

    def containers_of(installation: str) -> Sequence[Container]:
        with executor(installation) as its:
            return its.list()

    try:
        with executor("") as anyone:
            engine_id = anyone.info().id
        signs = signs_of_life(asyncio.run(_others(settings)), engine_id, containers_of)
    except The0Error:
        return
    if signs:
        yield fail("installation", shared_text(signs), SHARED_FIX)


async def _others(settings: Settings) -> Sequence[Installation]:
    repository = Repository(settings.mongo)
    try:
        return await repository.other_installations(settings.general.instance)
    finally:
        await repository.close()
