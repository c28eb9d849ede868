"""From a wish to a bot's first line, beside a bare create and start with the same options."""

from __future__ import annotations

from bench import bare
from bench.harness import Figure, Report
from bench.site import EngineEvents, Site, document, milliseconds
from bench.wire import Wire, wire

ROUNDS = 10
MANY = 20
BARE = "bare create + start of python3 -c"


def run(site: Site, report: Report) -> None:
    report.begin("starts", "an event with a new document, until the bot's own first line")
    with site.host("runner"), wire(site) as nats:
        _one_by_one(site, report, nats)
    site.clear()
    limit = bare.start_many(site, MANY, site.settings.runner.starts_at_once)
    site.clear()
    with site.host("runner"), wire(site) as nats:
        ours = _many(nats)
    site.clear()
    report.add(Figure(f"{MANY} bots at once, the last one's line", "s", [ours], [limit], BARE))


def _one_by_one(site: Site, report: Report, nats: Wire) -> None:
    events = EngineEvents()
    total, reaction, inside, live = [], [], [], []
    bares: list[bare.BareStart] = []
    bare_reaction, bare_inside = [], []
    for number in range(ROUNDS):
        bares.append(bare.start(site, f"bare-{number}"))
        bare_started = events.at("start", f"bare-{number}", bares[-1].begun)
        bare_reaction.append(bare_started - bares[-1].begun)
        bare_inside.append(bares[-1].first_line - bare_started)
        site.remove(bares[-1].ref)
        bot_id = f"one-{number}"
        begun = nats.tell("created", document(bot_id))
        written, came = nats.first_line(bot_id)
        started = events.at("start", bot_id, begun)
        total.append(written - begun)
        reaction.append(started - begun)
        inside.append(written - started)
        live.append(came - begun)
    events.close()
    limit = milliseconds([one.first_line - one.begun for one in bares])
    report.add(Figure("event -> first line", "ms", milliseconds(total), limit, BARE))
    report.add(
        Figure(
            "event -> container started",
            "ms",
            milliseconds(reaction),
            milliseconds(bare_reaction),
            BARE,
        )
    )
    report.add(
        Figure("started -> first line", "ms", milliseconds(inside), milliseconds(bare_inside), BARE)
    )
    report.add(Figure("event -> first line seen on NATS", "ms", milliseconds(live), limit, BARE))


def _many(nats: Wire) -> float:
    """Seconds until the last of all bots has written its first line."""
    ids = [f"many-{number}" for number in range(MANY)]
    begun = min([nats.tell("created", document(bot_id)) for bot_id in ids])
    return (max(nats.first_line(bot_id)[0] for bot_id in ids) - begun) / 1e9
