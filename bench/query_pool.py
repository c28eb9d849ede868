"""A query to a bot that does not run, with and without a container that waits for it, beside a
`docker run` of the same command; and what a waiting container costs while nobody asks."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import tarfile
import tempfile
import time
import zipfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bench import bare
from bench.harness import Figure, Report, children, pss_mib
from bench.site import RUNTIME, Site, until
from the0.config import Settings
from the0.models import Bot, BotType, Purpose
from the0.queries.ephemeral import EphemeralQueries, EphemeralSite
from the0.queries.models import Query
from the0.repository import Repository
from the0.settings import QueryPoolSettings
from the0.storage.state import StateStore, StoredState

ROUNDS = 12
WAITING = 3
TIMEOUT_SEC = 120.0
SETTLE_SEC = 0.5
DOCKER_RUN = "docker run of the same command"
BARE = "idle python3 in a bare container"

QUERY = """
from the0 import query, state

@query.handler("/seen")
def seen(request):
    return {"symbol": request.get("symbol"), "seen": state.get("seen")}

query.run()
"""
TMPFS = "--tmpfs=/query:uid=1000,gid=1000,mode=0700"
SEEN = {"seen": list(range(1000))}


def run(site: Site, report: Report) -> None:
    report.begin("query_pool", "a query that reads its state, in a container of its own")
    bot = _make_bot(site)
    with site.host("gateway"):
        idle = asyncio.run(_measure(site, report, bot))
    bare.start_many(site, WAITING, WAITING)
    limit = [pss_mib(site.pid(one.ref)) for one in site.executor.list()]
    site.clear()
    report.add(Figure("memory of one that waits, PSS", "MiB", idle, limit, BARE))


async def _measure(site: Site, report: Report, bot: Bot) -> Sequence[float]:
    """Reports how long queries take; the memory of containers that wait."""
    idle: Sequence[float] = []
    for name, waiting in (("a container waits for it", WAITING), ("one is made for it", 0)):
        ours: list[float] = []
        limit: list[float] = []
        async with _queries(site, waiting) as queries:
            for _ in range(ROUNDS):
                await _wait_for(site, waiting)
                idle = idle or await asyncio.to_thread(_memory, site)
                ours.append(await _ask(queries, bot))
                await _wait_for(site, waiting)
                limit.append(await asyncio.to_thread(_docker_run, site))
        report.add(Figure(f"query, {name}", "ms", ours, limit, DOCKER_RUN))
    return idle


@asynccontextmanager
async def _queries(site: Site, waiting: int) -> AsyncIterator[EphemeralQueries]:
    settings, plugins = site.parts
    pool = QueryPoolSettings(min_waiting=waiting, max_waiting=waiting)
    chosen = Settings({**settings.sections, QueryPoolSettings: pool}, settings.warnings)
    repository = Repository(settings.mongo)
    queries = EphemeralQueries(EphemeralSite(chosen, plugins, repository, site.storage))
    stop = asyncio.Event()
    running = asyncio.create_task(queries.run(stop))
    await queries.serving.wait()
    try:
        yield queries
    finally:
        stop.set()
        await running
        await repository.close()


async def _ask(queries: EphemeralQueries, bot: Bot) -> float:
    """Milliseconds until the answer is there."""
    begun = time.perf_counter()
    deadline = asyncio.get_running_loop().time() + TIMEOUT_SEC
    query = Query(bot.id, "/seen", {"symbol": "BTC"}, TIMEOUT_SEC)
    answer = await queries.ask(bot, query, deadline)
    took = (time.perf_counter() - begun) * 1000
    if json.loads(answer.body)["data"] != {"symbol": "BTC", **SEEN}:
        raise RuntimeError(f"a wrong answer: {answer}")
    return took


def _make_bot(site: Site) -> Bot:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("main.py", "def main(bot_id, config): pass")
        archive.writestr("query.py", QUERY)
    size = code.tell()
    code.seek(0)
    site.storage.put("custom-bots", "bench/asked/1.0.0", code, size)
    _store_state(site)
    return Bot(
        id="asked",
        type=BotType.SCHEDULED,
        enabled=True,
        config={"name": "asked"},
        name="asked",
        version="1.0.0",
        runtime=RUNTIME,
        code_key="bench/asked/1.0.0",
        entrypoints={"bot": "main.py", "query": "query.py"},
    )


def _store_state(site: Site) -> None:
    content, body = json.dumps(SEEN["seen"]).encode(), io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as archive:
        entry = tarfile.TarInfo(".the0-state/seen.json")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    size = body.tell()
    body.seek(0)
    states = StateStore(site.storage, site.settings.storage.state_bucket)
    states.put("asked", body, StoredState("0" * 32, "", size))


def _docker_run(site: Site) -> float:
    """Milliseconds of `docker run --rm`, the code and state mounted from a folder."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        (place / "query.py").write_text(QUERY)
        (place / "seen.json").write_text(json.dumps(SEEN["seen"]))
        given = {
            "QUERY_PATH": "/seen",
            "QUERY_PARAMS": '{"symbol":"BTC"}',
            "STATE_DIR": "/bot",
            "PYTHONPATH": "/opt/the0/sdk",
        }
        command = ["docker", "run", "--rm", "--user=1000:1000", TMPFS, f"--volume={folder}:/bot"]
        command += [f"--env={name}={value}" for name, value in given.items()]
        command += ["--entrypoint=python3", site.environ["RUNTIME_IMAGE"], "/bot/query.py"]
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return (time.perf_counter() - begun) * 1000


async def _wait_for(site: Site, count: int) -> None:
    """Until so many wait, and none that has answered is left."""

    def all_wait() -> bool:
        return len(_waiting(site)) == count

    await asyncio.to_thread(until, all_wait, f"{count} containers wait", 0.2)
    await asyncio.sleep(SETTLE_SEC)


def _waiting(site: Site) -> Sequence[str]:
    return [one.ref for one in site.executor.list() if one.purpose is Purpose.QUERY]


def _memory(site: Site) -> list[float]:
    """Of all processes in each container that waits, in MiB."""
    found = []
    for ref in _waiting(site):
        pid = site.pid(ref)
        found.append(sum(pss_mib(one) for one in (pid, *children(pid))))
    return found
