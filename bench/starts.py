"""From a wish to a bot's first line, beside a bare create and start with the same options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench import bare
from bench.harness import Figure, Report
from bench.site import EngineEvents, Site, document, milliseconds
from bench.wire import Wire, wire

ROUNDS = 10
MANY = 20
BARE = "bare create + start of python3 -c"


@dataclass(frozen=True)
class Start:
    """Moments in Unix nanoseconds: the wish, the engine's start, the first line and its arrival."""

    begun: int
    started: int
    written: int
    seen: int


PARTS: dict[str, Callable[[Start], int]] = {
    "event -> first line": lambda one: one.written - one.begun,
    "event -> container started": lambda one: one.started - one.begun,
    "started -> first line": lambda one: one.written - one.started,
    "event -> first line seen on NATS": lambda one: one.seen - one.begun,
}


def run(site: Site, report: Report) -> None:
    report.begin("starts", "an event with a new document, until the bot's own first line")
    bares = _bare(site)
    site.clear()  # the host would remove them beside what is measured
    with site.host("runner"), wire(site) as nats:
        _one_by_one(report, nats, bares)
    site.clear()
    limit = bare.start_many(site, MANY, site.settings.runner.starts_at_once)
    site.clear()
    with site.host("runner"), wire(site) as nats:
        ours = _many(nats)
    site.clear()
    report.add(Figure(f"{MANY} bots at once, the last one's line", "s", [ours], [limit], BARE))


def _bare(site: Site) -> Sequence[Start]:
    """The same containers with nothing of ours in them."""
    events = EngineEvents()
    found = []
    for number in range(ROUNDS):
        made = bare.start(site, f"bare-{number}")
        started = events.at("start", f"bare-{number}", made.begun)
        found.append(Start(made.begun, started, made.first_line, made.first_line))
    events.close()
    return found


def _one_by_one(report: Report, nats: Wire, bares: Sequence[Start]) -> None:
    events = EngineEvents()
    ours = []
    for number in range(ROUNDS):
        bot_id = f"one-{number}"
        begun = nats.tell("created", document(bot_id))
        written, seen = nats.first_line(bot_id)
        ours.append(Start(begun, events.at("start", bot_id, begun), written, seen))
    events.close()
    for name, part in PARTS.items():
        took, limit = (milliseconds([part(one) for one in these]) for these in (ours, bares))
        report.add(Figure(name, "ms", took, limit, BARE))


def _many(nats: Wire) -> float:
    """Seconds until the last of all bots has written its first line."""
    ids = [f"many-{number}" for number in range(MANY)]
    begun = min([nats.tell("created", document(bot_id)) for bot_id in ids])
    return (max(nats.first_line(bot_id)[0] for bot_id in ids) - begun) / 1e9
