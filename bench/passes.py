"""A pass with nothing to do over many documents and containers, and the host's memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from bench import bare
from bench.harness import Figure, Report, pss_mib
from bench.site import Site, document, until
from the0.core.desired import Desired
from the0.documents import parse_bot
from the0.launches import LaunchStore
from the0.models import BotType
from the0.repository import RawDocument, Repository

CONTAINERS = 200
COUNTS = (0, 1_000, 10_000)
PASSES = 5
AT_ONCE = 4
"""More starts in flight take longer in all on two cores."""


def run(site: Site, report: Report) -> None:
    report.begin("passes", f"nothing to do: {COUNTS[-1]:,} documents, {CONTAINERS} containers")
    _memory(site, report)
    _make_containers(site)
    with site.host("runner"):
        until(lambda: not site.one_pass()["steps"], "all are adopted")
        passes = [site.one_pass() for _ in range(PASSES)]
    busy = [one for one in passes if one["steps"] or one["fault"]]
    if busy:
        raise RuntimeError(f"a pass had something to do: {busy[0]}")
    _parts(site, report, passes)
    site.clear()


def _memory(site: Site, report: Report) -> None:
    """The host's memory with more and more documents, of disabled bots."""
    with site.host("runner") as pid:
        there = 0
        for count in COUNTS:
            if count > there:
                site.bots.insert_many(
                    [document(f"bot-{n}", enabled=False) for n in range(there, count)]
                )
            there = count
            site.one_pass()
            report.add(Figure(f"host with {count:,} bots, PSS", "MiB", [pss_mib(pid)]))


def _make_containers(site: Site) -> None:
    """Small containers that the host takes for bots of its own which have been started before."""
    launches = LaunchStore(site.settings.state_dir.launches)

    def make(number: int) -> None:
        prepared = bare.prepare(site, f"bot-{number}")
        launches.write(prepared.launch)
        spec = replace(prepared.spec, command=("sleep", "86400"))
        site.executor.start(site.executor.create(spec).ref)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(make, range(CONTAINERS)))
    wanted = {"id": {"$in": [f"bot-{number}" for number in range(CONTAINERS)]}}
    site.bots.update_many(wanted, {"$set": {"enabled": True}})


def _parts(site: Site, report: Report, passes: list[dict[str, Any]]) -> None:
    """The whole pass as the host measured it, and its parts, each repeated here."""
    documents = asyncio.run(_read(site))
    read = _timed(lambda: asyncio.run(_read(site)))
    raw = _timed(lambda: sum(len(one.raw) for one in _plain_read(site)))
    listed = _timed(site.executor.list)
    plain = _timed(lambda: site.docker.api.containers(all=True))
    limit = [one + other for one, other in zip(raw, plain, strict=True)]
    what = "a plain find + a plain list"
    seconds = [one["seconds"] * 1000 for one in passes]
    report.add(Figure("pass, time", "ms", seconds, limit, what))
    report.add(Figure("pass, CPU of the host", "ms", [one["cpu_seconds"] * 1000 for one in passes]))
    report.add(Figure("  read the documents", "ms", read, raw, "a plain find"))
    report.add(Figure("  compare them with what is known", "ms", _compare(site, documents)))
    report.add(Figure("  list the containers", "ms", listed, plain, "a plain list"))


async def _read(site: Site) -> list[RawDocument]:
    repository = Repository(site.settings.mongo)
    try:
        return list(await repository.desired(BotType.REALTIME))
    finally:
        await repository.close()


def _plain_read(site: Site) -> list[Any]:
    return list(site.raw_bots.find())


def _compare(site: Site, documents: list[RawDocument]) -> list[float]:
    limits = site.settings.limits
    desired = Desired(lambda one: parse_bot(one, BotType.REALTIME, limits))
    desired.read(documents, (), time.monotonic())
    return _timed(lambda: desired.read(documents, (), time.monotonic()))


def _timed(work: Callable[[], object]) -> list[float]:
    """Milliseconds of each of some calls."""
    found = []
    for _ in range(PASSES):
        begun = time.perf_counter()
        work()
        found.append((time.perf_counter() - begun) * 1000)
    return found
