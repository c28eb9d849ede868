"""A host that answers queries, as a process that can be killed: `INSTALLATION BOT...` asks each
bot at once, with the environment of the installation."""

from __future__ import annotations

import asyncio
import os
import sys

from the0.config import bootstrap
from the0.events import LogPublisher
from the0.gateway import Gateway
from the0.models import Bot, BotType
from the0.plugin.interfaces import PluginArgs
from the0.queries.ephemeral import EphemeralQueries, EphemeralSite
from the0.queries.models import Query
from the0.repository import Repository

TIMEOUT_SEC = 300.0


async def main(bots: list[str]) -> None:
    settings, plugins = bootstrap((), os.environ)
    repository, publisher = Repository(settings.mongo), LogPublisher(settings.nats)
    args = PluginArgs(settings.general.instance, "", settings.state_dir.root, settings.sections)
    storage = plugins.storages.get("minio")(args)
    gateway = Gateway(settings, storage, publisher)
    queries = EphemeralQueries(EphemeralSite(settings, plugins, repository, storage))
    parts = [asyncio.create_task(part.run(asyncio.Event())) for part in (gateway, queries)]
    await gateway.serving.wait()
    await queries.serving.wait()
    deadline = asyncio.get_running_loop().time() + TIMEOUT_SEC
    asks = (queries.ask(_bot(one), Query(one, "/x", {}, TIMEOUT_SEC), deadline) for one in bots)
    await asyncio.gather(*asks, *parts)


def _bot(bot_id: str) -> Bot:
    return Bot(
        id=bot_id,
        type=BotType.SCHEDULED,
        enabled=True,
        config={},
        name=bot_id,
        version="1.0.0",
        runtime="python3.11",
        code_key=f"user/{bot_id}/1.0.0",
        entrypoints={"bot": "main.py", "query": "query.py"},
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
