"""Queries to bots that do not run: everything that answers them, in the test's own loop."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.agent import packed
from tests.support.runner import PATIENCE_SEC, Installation, eventually
from the0.config import Settings, bootstrap
from the0.events import LogPublisher
from the0.gateway import Gateway
from the0.models import Bot, BotType, Purpose
from the0.plugin.interfaces import PluginArgs, Storage
from the0.queries.ephemeral import EphemeralQueries, EphemeralSite
from the0.queries.models import Answer, Query
from the0.repository import Repository
from the0.storage.state import StateStore, StoredState

ANSWER = """
import json, os
json.dump({"status": "ok", "data": 1}, open("/query/result.json", "w"))
"""


@dataclass
class Asked:
    """What a test of queries has at hand."""

    site: Installation
    settings: Settings
    storage: Storage
    queries: EphemeralQueries

    def bot(self, source: str, bot_id: str = "asked", **changes: Any) -> Bot:
        """A scheduled bot whose query program is `source`."""
        code = packed({"main.py": "def main(a, b): pass", "query.py": source})
        key = f"user/{bot_id}/1.0.0"
        self.storage.put(self.settings.storage.code_bucket, key, io.BytesIO(code), len(code))
        given = {
            "id": bot_id,
            "type": BotType.SCHEDULED,
            "enabled": True,
            "config": {"name": bot_id, "big": 2**63 + 1},
            "name": bot_id,
            "version": "1.0.0",
            "runtime": "python3.11",
            "code_key": key,
            "entrypoints": {"bot": "main.py", "query": "query.py"},
        }
        return Bot(**{**given, **changes})

    def store_state(self, bot_id: str, files: dict[str, str], generation: str = "0" * 32) -> None:
        """What a bot's last run left, as it would lie in the store without a tree hash."""
        body = io.BytesIO()
        with tarfile.open(fileobj=body, mode="w:gz") as archive:
            for name, text in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
        size = body.tell()
        body.seek(0)
        store = StateStore(self.storage, self.settings.storage.state_bucket)
        store.put(bot_id, body, StoredState(generation, "", size))

    async def ask(
        self, bot: Bot, path: str = "/x", timeout_sec: float = 60.0, **params: Any
    ) -> Answer:
        query = Query(bot.id, path, params, timeout_sec)
        deadline = asyncio.get_running_loop().time() + timeout_sec
        return await self.queries.ask(bot, query, deadline)

    async def nothing_left(self) -> None:
        """Wait until no container waits or answers, and no launch has any right."""
        await asyncio.to_thread(eventually, lambda: not self.left(), "nothing is left")

    def left(self) -> list[str]:
        found = [one.name for one in self.site.containers() if one.purpose is Purpose.QUERY]
        found += [path.name for path in self.settings.state_dir.launches.iterdir()]
        found += [one.key for one in self.storage.list("query-results", "")]
        return found


@asynccontextmanager
async def asking(site: Installation) -> AsyncIterator[Asked]:
    """A gateway, and what answers queries in containers; in the end no container is left."""
    settings, plugins = bootstrap((), site.environ)
    settings.state_dir.make()
    repository, publisher = Repository(settings.mongo), LogPublisher(settings.nats)
    await _claim(repository, site, settings)
    args = PluginArgs(site.instance, "", settings.state_dir.root, settings.sections)
    storage = plugins.storages.get("minio")(args)
    gateway = Gateway(settings, storage, publisher)
    queries = EphemeralQueries(EphemeralSite(settings, plugins, repository, storage))
    # Stopped one after the other, as a host does.
    stops = asyncio.Event(), asyncio.Event()
    running = [
        asyncio.create_task(part.run(stop))
        for part, stop in zip((queries, gateway), stops, strict=True)
    ]
    try:
        async with asyncio.timeout(PATIENCE_SEC):
            await gateway.serving.wait()
            await queries.serving.wait()
        yield Asked(site, settings, storage, queries)
    finally:
        for part, stop in zip(running, stops, strict=True):
            stop.set()
            await part
        await repository.close()
        await publisher.close()
        storage.close()


async def _claim(repository: Repository, site: Installation, settings: Settings) -> None:
    """What a runner does first."""
    with site.executor() as executor:
        engine = executor.info().id
    await repository.claim_installation(site.instance, engine, settings.state_dir.root)
    site.installation = await repository.installation(site.instance) or ""
