"""From a due time to the container and to the bot's first line; what many schedules cost."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from bench import bare
from bench.harness import Figure, Report, cpu_seconds, pss_mib
from bench.site import EngineEvents, Site, document, milliseconds, until
from bench.wire import Wire, wire

TOGETHER = {1: 20, 10: 4, 100: 1}
"""How many are due together, and how often that is measured."""

SCHEDULES = (0, 10_000)
IDLE_SEC = 60.0
LEAD_SEC = 4.0
NEVER_SOON = "0 0 1 1 *"
BARE = "bare create"
BARE_LINE = "bare create + start of python3 -c"


def run(site: Site, report: Report) -> None:
    report.begin("schedules", "from the due time; then schedules that are not due")
    limit = [bare.start(site, f"bare-{number}") for number in range(10)]
    site.clear()
    at_once = site.settings.scheduler.starts_at_once
    last = {n: bare.start_many(site, n, at_once) for n in TOGETHER if n > 1}
    site.clear()
    with site.host("scheduler"), wire(site) as nats:
        _until_read(site)
        numbers = itertools.count()
        for together, rounds in TOGETHER.items():
            these = [next(numbers) for _ in range(rounds)]
            line_sec = _due(site, report, nats, limit, these, together)
            if together > 1:
                name = f"{together} due together: due -> last first line"
                report.add(Figure(name, "s", line_sec, [last[together]], BARE_LINE))
    site.clear()
    for count in SCHEDULES:
        _idle(site, report, count)
    site.clear()


def _due(
    site: Site,
    report: Report,
    nats: Wire,
    limit: Sequence[bare.BareStart],
    rounds: Sequence[int],
    together: int,
) -> Sequence[float]:
    """Adds the figures of single runs; seconds until the last first line, of each round."""
    events = EngineEvents()
    created, lines, last = [], [], []
    for number in rounds:
        due, ids = _plan(site, number, together)
        due_ns = int(due.timestamp()) * 10**9
        these = [nats.first_line(bot_id)[0] - due_ns for bot_id in ids]
        lines += these
        last.append(max(these) / 1e9)
        created += [events.at("create", bot_id, due_ns) - due_ns for bot_id in ids]
        until(partial(_ended, site, ids), "all runs ended", 0.2)
    events.close()
    name = f"{together} due together"
    bare_create = milliseconds([one.created - one.begun for one in limit])
    bare_line = milliseconds([one.first_line - one.begun for one in limit])
    report.add(Figure(f"{name}: due -> created", "ms", milliseconds(created), bare_create, BARE))
    report.add(
        Figure(f"{name}: due -> first line", "ms", milliseconds(lines), bare_line, BARE_LINE)
    )
    return last


def _plan(site: Site, number: int, together: int) -> tuple[datetime, Sequence[str]]:
    """Bots that are due together in a moment, and when."""
    due = (datetime.now(UTC) + timedelta(seconds=LEAD_SEC)).replace(microsecond=0)
    expression = f"{due.second} {due.minute} {due.hour} {due.day} {due.month} *"
    ids = [f"due-{number}-{one}" for one in range(together)]
    site.schedules.insert_many([_scheduled(bot_id, expression) for bot_id in ids])
    site.ask("POST", "/wake", {"bot_id": None}, "scheduler")
    return due, ids


def _scheduled(bot_id: str, expression: str) -> dict[str, Any]:
    return document(bot_id, schedule=expression, once=True)


def _ended(site: Site, ids: Sequence[str]) -> bool:
    wanted = {"bot_id": {"$in": list(ids)}, "outcome": "succeeded"}
    count: int = site.client["the0"]["runs"].count_documents(wanted)
    return count == len(ids)


def _idle(site: Site, report: Report, count: int) -> None:
    """A scheduler that reads its schedules again and again, and starts none."""
    if count:
        site.schedules.insert_many([_scheduled(f"bot-{n}", NEVER_SOON) for n in range(count)])
    begun = time.monotonic()
    with site.host("scheduler") as pid:
        _until_read(site, count)
        first = time.monotonic() - begun
        planned = {"next_execution_time": {"$exists": True}}
        until(lambda: site.schedules.count_documents(planned) == count, "all are planned", 0.5)
        time.sleep(2 * site.settings.scheduler.reread_interval_sec)
        before = cpu_seconds(pid)
        time.sleep(IDLE_SEC)
        share = (cpu_seconds(pid) - before) / IDLE_SEC * 100
        report.add(Figure(f"{count:,} schedules: start until all are armed", "s", [first]))
        report.add(Figure(f"{count:,} schedules, idle: CPU", "% of a core", [share]))
        report.add(Figure(f"{count:,} schedules, idle: PSS", "MiB", [pss_mib(pid)]))


def _until_read(site: Site, count: int = 0) -> None:
    def read() -> bool:
        try:
            ready = json.loads(site.ask("GET", "/readyz", None, "scheduler"))
            text = site.ask("GET", "/metrics", None, "scheduler").decode()
        except OSError:
            return False
        armed = [line for line in text.splitlines() if line.startswith("the0_schedules ")]
        return bool(ready["ok"] and armed and float(armed[0].split()[1]) >= count)

    until(read, f"{count:,} schedules are read")
