"""MongoDB dies or hangs for a while: no healthy bot stops, and what it says is done once it is
back."""

from __future__ import annotations

import time
from typing import Any

import docker

from tests.support.faults import (
    Life,
    both_ways,
    bring_back,
    in_phase,
    lives,
    ready,
    sit_out,
    started,
    take_away,
    unready,
)
from tests.support.runner import Installation, eventually


@both_ways
def test_mongodb_away(site: Installation, docker_engine: docker.DockerClient, how: str) -> None:
    started(site, "b0", "b1", "b2")
    before = lives(docker_engine, site)
    take_away(site.services.mongo, how)
    since = time.monotonic()
    eventually(lambda: unready(site) == ["mongodb"], "readiness names it")
    assert site.ask("/healthz")[0] == 200
    docker_engine.containers.get(before["b0"].ref).kill()
    eventually(lambda: is_another(lives(docker_engine, site), before, "b0"), "b0 is restarted")
    restarted = lives(docker_engine, site)
    assert restarted == {**before, "b0": restarted["b0"]}
    sit_out(since)
    assert lives(docker_engine, site) == restarted
    bring_back(site.services.mongo, how)
    eventually(lambda: ready(site), "it is ready again")
    site.put("later", "ledger")
    site.enable("b1", False)
    eventually(lambda: in_phase(site, "running") == {"b0", "b2", "later"}, "as MongoDB says")
    assert lives(docker_engine, site)["b2"] == before["b2"]
    eventually(lambda: recorded(site, "b0")["crashes"] == 1, "the crash is in MongoDB")
    assert recorded(site, "b0")["exits"][-1]["reason"] == "killed"


@both_ways
def test_a_host_that_starts_without_mongodb_waits_and_touches_nothing(
    site: Installation, docker_engine: docker.DockerClient, how: str
) -> None:
    started(site, "b0", "b1")
    before = lives(docker_engine, site)
    site.kill_host()
    site.enable("b1", False)
    take_away(site.services.mongo, how)
    since = time.monotonic()
    host = site.start_host()
    eventually(lambda: answers(site), "it answers")
    sit_out(since)
    assert not ready(site)
    assert host.poll() is None
    assert lives(docker_engine, site) == before
    bring_back(site.services.mongo, how)
    eventually(lambda: in_phase(site, "disabled") == {"b1"}, "b1 is disabled")
    assert lives(docker_engine, site) == {"b0": before["b0"]}


def is_another(now: dict[str, Life], before: dict[str, Life], bot_id: str) -> bool:
    return now.get(bot_id) not in (None, before[bot_id])


def answers(site: Installation) -> bool:
    try:
        return site.ask("/healthz")[0] == 200
    except OSError:
        return False


def recorded(site: Installation, bot_id: str) -> Any:
    """What MongoDB holds of a bot's past."""
    records = site.client["the0"]["bot_status"]
    installation = site.ask("/status")[1]["installation"]
    record = records.find_one({"installation": installation, "bot_id": bot_id})
    return record["status"]["tracked"]
