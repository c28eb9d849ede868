"""MongoDB, storage or NATS dies or hangs for a while: no healthy bot stops, starts wait and then
happen, stops go on working."""

from __future__ import annotations

import time
from typing import Any

import docker
import pytest

from tests.support.faults import (
    Life,
    bring_back,
    in_phase,
    lives,
    numbers,
    output,
    ready,
    started,
    stored_state,
    take_away,
    unready,
    whole_log,
)
from tests.support.runner import Installation, eventually
from tests.support.soak import scaled

OUTAGE_SEC = scaled(8.0, 60.0)

both_ways = pytest.mark.parametrize("how", ["frozen", "killed"])


@both_ways
def test_mongodb_away(site: Installation, docker_engine: docker.DockerClient, how: str) -> None:
    started(site, "b0", "b1", "b2")
    before = lives(docker_engine, site)
    take_away(site.services.mongo, how)
    since = time.monotonic()
    eventually(lambda: unready(site) == ["mongodb"], "readiness names it")
    assert site.ask("/healthz")[0] == 200
    docker_engine.containers.get(before["b0"].ref).kill()
    eventually(lambda: _is_another(lives(docker_engine, site), before, "b0"), "b0 is restarted")
    restarted = lives(docker_engine, site)
    assert restarted == {**before, "b0": restarted["b0"]}
    _sit_out(since)
    assert lives(docker_engine, site) == restarted
    bring_back(site.services.mongo, how)
    eventually(lambda: ready(site), "it is ready again")
    site.put("later", "ledger")
    site.enable("b1", False)
    eventually(lambda: in_phase(site, "running") == {"b0", "b2", "later"}, "as MongoDB says")
    assert lives(docker_engine, site)["b2"] == before["b2"]
    eventually(lambda: _recorded(site, "b0")["crashes"] == 1, "the crash is in MongoDB")
    assert _recorded(site, "b0")["exits"][-1]["reason"] == "killed"


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
    eventually(lambda: _answers(site), "it answers")
    _sit_out(since)
    assert not ready(site)
    assert host.poll() is None
    assert lives(docker_engine, site) == before
    bring_back(site.services.mongo, how)
    eventually(lambda: in_phase(site, "disabled") == {"b1"}, "b1 is disabled")
    assert lives(docker_engine, site) == {"b0": before["b0"]}


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
        eventually(lambda b=bot_id: "StorageUnavailable" in _conditions(site, b), "it is told")
    _sit_out(since)
    healthy = {bot_id: before[bot_id] for bot_id in ("b1", "b2", "b3")}
    assert lives(docker_engine, site) == healthy
    told = site.shown("b0")["last_exit"]["log_tail"]
    wrote = numbers(output(docker_engine, before["b1"].ref), "wrote")[-1]
    bring_back(site.services.s3, how)
    expected = {"b1", "b2", "b3", "later"}
    eventually(lambda: in_phase(site, "running") == expected, "what waited has started")
    eventually(lambda: "changed" in _said(docker_engine, site, "b3"), "the change is applied")
    eventually(lambda: stored_state(site, "b0").get("last") == _last(told), "b0's last word")
    eventually(lambda: int(stored_state(site, "b1")["count"]) >= wrote, "b1's state is stored")
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
    _sit_out(since)
    bring_back(site.services.nats, how)
    eventually(lambda: ready(site), "connected again")
    assert lives(docker_engine, site)["b0"] == before["b0"]
    assert site.shown("b0")["restarts"] == 0


def _sit_out(since: float) -> None:
    """The outage lasts its full time, whatever was looked at meanwhile."""
    time.sleep(max(0.0, since + OUTAGE_SEC - time.monotonic()))


def _is_another(now: dict[str, Life], before: dict[str, Life], bot_id: str) -> bool:
    return now.get(bot_id) not in (None, before[bot_id])


def _answers(site: Installation) -> bool:
    try:
        return site.ask("/healthz")[0] == 200
    except OSError:
        return False


def _recorded(site: Installation, bot_id: str) -> Any:
    """What MongoDB holds of a bot's past."""
    records = site.client["the0"]["bot_status"]
    installation = site.ask("/status")[1]["installation"]
    record = records.find_one({"installation": installation, "bot_id": bot_id})
    return record["status"]["tracked"]


def _conditions(site: Installation, bot_id: str) -> set[str]:
    return {one["type"] for one in site.shown(bot_id).get("conditions", ())}


def _said(engine: docker.DockerClient, site: Installation, bot_id: str) -> str:
    life = lives(engine, site).get(bot_id)
    return "\n".join(output(engine, life.ref)) if life else ""


def _last(lines: list[str]) -> str:
    (found,) = [line.removeprefix("last ") for line in lines if line.startswith("last ")]
    return found
