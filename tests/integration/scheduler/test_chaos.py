"""Three schedulers that are killed and started at random: no slot twice, none without a record."""

from __future__ import annotations

import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import docker

from tests.support.runner import eventually
from tests.support.schedules import Schedules
from tests.support.soak import scaled

CHAOS_SEC = scaled(20.0, 120.0)
PERIOD_SEC = 5
BOTS = tuple(f"bot-{number}" for number in range(4))


def starts_by_run(engine: docker.DockerClient, instance: str, since: datetime) -> Counter[str]:
    """How often the engine started a container of each run."""
    filters = {"type": "container", "event": "start", "label": f"the0.instance={instance}"}
    until = datetime.now(UTC)
    events = engine.events(
        since=since.timestamp(), until=until.timestamp(), filters=filters, decode=True
    )
    return Counter(event["Actor"]["Attributes"]["the0.run"] for event in events)


def test_three_schedulers_killed_and_started_at_random(
    schedules: Schedules, docker_engine: docker.DockerClient
) -> None:
    chance, site, begun = random.Random(3), schedules.site, datetime.now(UTC)
    for bot_id in BOTS:
        schedules.put(bot_id, f"@every {PERIOD_SEC}s", seconds=1, start_deadline_sec=10)
    hosts = [site.start_host("scheduler") for _ in range(3)]
    eventually(lambda: all(schedules.planned(bot_id) for bot_id in BOTS), "all are planned")
    first = {bot_id: schedules.planned(bot_id) or 0 for bot_id in BOTS}
    until = time.monotonic() + CHAOS_SEC
    while time.monotonic() < until:
        time.sleep(chance.uniform(0.2, 2.0))
        victim = chance.choice(hosts)
        site.kill_host(victim)
        time.sleep(chance.uniform(0.0, 1.0))
        hosts = [host for host in hosts if host is not victim] + [site.start_host("scheduler")]
    last = int(time.time()) // PERIOD_SEC * PERIOD_SEC
    expected = {bot_id: list(range(first[bot_id], last + 1, PERIOD_SEC)) for bot_id in BOTS}
    eventually(
        lambda: all(complete(schedules, bot_id, expected[bot_id]) for bot_id in BOTS),
        "every slot has its record",
    )
    for bot_id in BOTS:
        schedules.set(bot_id, enabled=False)
    records = [run for bot_id in BOTS for run in schedules.runs(bot_id)]
    starts = starts_by_run(docker_engine, site.instance, begun - timedelta(seconds=1))
    assert max(starts.values()) == 1
    known = {run["_id"]: run for run in records}
    assert starts.keys() <= known.keys()
    for run_id in starts:
        assert known[run_id]["outcome"] not in ("missed", "skipped"), known[run_id]
    print(Counter(run["outcome"] for run in records))
    assert Counter(run["outcome"] for run in records)["succeeded"] >= len(BOTS)


def complete(schedules: Schedules, bot_id: str, slots: list[int]) -> bool:
    """Whether each of `slots` has exactly one record, with an outcome."""
    found = Counter(
        int(run["slot"].replace(tzinfo=UTC).timestamp())
        for run in schedules.runs(bot_id)
        if run["outcome"]
    )
    assert all(count == 1 for count in found.values()), found
    return set(slots) <= found.keys()
