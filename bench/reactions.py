"""From an event to the engine's create call, and from a death to the restart, less its backoff."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

from bench import bare
from bench.harness import Figure, Report
from bench.site import EngineEvents, Site, document, milliseconds
from bench.wire import Wire, wire
from the0.core.backoff import Backoff

BOTS = 8
LISTENING_SEC = 10


def run(site: Site, report: Report) -> None:
    report.begin("reactions", "to an event, to a kill -9 of a container, to a line of a bot")
    events = EngineEvents()
    creates, deaths = _bare(site, events)
    site.clear()
    with site.host("runner"), wire(site) as nats:
        trips = nats.round_trips(50)
        limit = [one + trip for one, trip in zip(creates, trips, strict=False)]
        ids = [f"dies-{number}" for number in range(BOTS)]
        made = _create_all(nats, events, ids)
        what = "a NATS round trip + bare create"
        report.add(Figure("event -> container created", "ms", made, limit, what))
        _lines(report, nats, ids, trips)
        died, begun = _kill_all(site, events, ids)
    report.add(Figure("kill -9 -> die event", "ms", died, deaths, "of a bare container"))
    both = [death + create for death, create in zip(deaths, creates, strict=True)]
    what = "bare die event + create"
    report.add(Figure("kill -9 -> restart begun, less the backoff", "ms", begun, both, what))
    events.close()
    site.clear()


def _bare(site: Site, events: EngineEvents) -> tuple[list[float], list[float]]:
    """Milliseconds of a create, and from a kill -9 to the die event, of bare containers."""
    creates, deaths = [], []
    for number in range(BOTS):
        one = bare.start(site, f"bare-{number}")
        creates.append(one.created - one.begun)
        at = _kill(site, one.ref)
        deaths.append(events.at("die", f"bare-{number}", at) - at)
    return milliseconds(creates), milliseconds(deaths)


def _create_all(nats: Wire, events: EngineEvents, ids: Sequence[str]) -> list[float]:
    found = []
    for bot_id in ids:
        begun = nats.tell("created", document(bot_id, pause=0.5))
        found.append(events.at("create", bot_id, begun) - begun)
        nats.first_line(bot_id)
    return milliseconds(found)


def _lines(report: Report, nats: Wire, ids: Sequence[str], trips: Sequence[float]) -> None:
    """How late lines of bots that write two a second arrive at a NATS client."""
    since = time.time_ns()
    time.sleep(LISTENING_SEC)
    took = [
        came - int(line.split()[1])
        for bot_id in ids
        for came, line in nats.lines(bot_id)
        if came > since and line.startswith("line ")
    ]
    what = "a NATS round trip"
    report.add(Figure("line of a bot -> NATS client", "ms", milliseconds(took), trips, what))


def _kill_all(
    site: Site, events: EngineEvents, ids: Sequence[str]
) -> tuple[list[float], list[float]]:
    """Milliseconds to the die event, and to the create call of the next start less the backoff."""
    refs = {one.bot_id: one.ref for one in site.executor.list()}
    backoff = Backoff.of(site.settings.runner)
    died, begun = [], []
    for bot_id in ids:
        at = _kill(site, refs[bot_id])
        died.append(events.at("die", bot_id, at) - at)
        made = events.at("create", bot_id, at)
        begun.append(made - at - round(backoff.delay(bot_id, 1) * 1e9))
    return milliseconds(died), milliseconds(begun)


def _kill(site: Site, ref: str) -> int:
    """Kill process 1 of a container from outside; the moment before."""
    pid = site.pid(ref)
    begun = time.time_ns()
    os.kill(pid, signal.SIGKILL)
    return begun
