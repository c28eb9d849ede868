"""Storage or NATS dies or hangs for a while: no healthy bot stops, starts wait and then happen,
stops go on working."""

from __future__ import annotations

import time

import docker

from tests.support.faults import (
    both_ways,
    bring_back,
    in_phase,
    lives,
    numbers,
    output,
    ready,
    sit_out,
    started,
    stored_state,
    take_away,
    unready,
    whole_log,
)
from tests.support.runner import Installation, eventually


@both_ways
def test_storage_away(site: Installation, docker_engine: docker.DockerClient, how: str) -> None:
    site.settings |= {"THE0_SYNC__FINAL_SEC": "2", "THE0_SYNC__INTERVAL_SEC": "3"}
    site.settings["THE0_SYNC__MIN_INTERVAL_SEC"] = "1"
    started(site, "b0", "b1", "b2", "b3")
    before = lives(docker_engine, site)
    take_away(site.services.s3, how)
    since = time.monotonic()
    eventually(lambda: unready(site) == ["storage"], "readiness names it")
    site.put("later", "ledger")
    site.put("b3", "ledger", v="changed")
    site.enable("b0", False)
    eventually(lambda: "b0" not in lives(docker_engine, site), "the stop is done")
    for bot_id in ("later", "b3"):
        eventually(lambda b=bot_id: "StorageUnavailable" in conditions(site, b), "it is told")
    sit_out(since)
    healthy = {bot_id: before[bot_id] for bot_id in ("b1", "b2", "b3")}
    assert lives(docker_engine, site) == healthy
    eventually(lambda: site.shown("b0")["last_exit"], "its end is told")
    told = site.shown("b0")["last_exit"]["log_tail"]
    wrote = numbers(output(docker_engine, before["b1"].ref), "wrote")[-1]
    bring_back(site.services.s3, how)
    expected = {"b1", "b2", "b3", "later"}
    eventually(lambda: in_phase(site, "running") == expected, "what waited has started")
    eventually(lambda: "changed" in all_output(docker_engine, site, "b3"), "the change is applied")
    eventually(lambda: stored_state(site, "b0").get("last") == last_word(told), "b0's last word")
    eventually(
        lambda: int(stored_state(site, "b1").get("count", 0)) >= wrote, "b1's state is stored"
    )
    assert lives(docker_engine, site)["b1"] == before["b1"]
    site.enable("b1", False)
    eventually(lambda: "b1" not in lives(docker_engine, site), "b1 stops")
    lines = eventually(lambda: whole_log(site, "b1"), "b1's log is stored to its end")
    said = numbers(lines, "wrote")
    assert said == list(range(1, len(said) + 1)), "no line is lost or doubled"


@both_ways
def test_nats_away(site: Installation, docker_engine: docker.DockerClient, how: str) -> None:
    started(site, "b0", "b1")
    before = lives(docker_engine, site)
    take_away(site.services.nats, how)
    since = time.monotonic()
    eventually(lambda: unready(site) == ["nats"], "readiness names it", within=120)
    site.put("later", "ledger")
    site.enable("b1", False)
    eventually(lambda: in_phase(site, "running") == {"b0", "later"}, "it works from the pass")
    sit_out(since)
    bring_back(site.services.nats, how)
    eventually(lambda: ready(site), "connected again")
    assert lives(docker_engine, site)["b0"] == before["b0"]
    assert site.shown("b0")["restarts"] == 0


def conditions(site: Installation, bot_id: str) -> set[str]:
    return {one["type"] for one in site.shown(bot_id).get("conditions", ())}


def all_output(engine: docker.DockerClient, site: Installation, bot_id: str) -> str:
    life = lives(engine, site).get(bot_id)
    return "\n".join(output(engine, life.ref)) if life else ""


def last_word(lines: list[str]) -> str:
    (found,) = [line.removeprefix("last ") for line in lines if line.startswith("last ")]
    return found
