"""What the runner must survive: its own death, and that of everything it depends on."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from tests.support.runner import Installation, eventually, stays

BOTS = 6
OUTAGE_SEC = 8.0


def started(site: Installation, count: int = BOTS) -> dict[str, str]:
    for number in range(count):
        site.put(f"b{number}")
    site.start_host()
    eventually(lambda: len(_in_phase(site, "running")) == count, f"{count} bots run")
    return site.running()


def _in_phase(site: Installation, phase: str) -> list[str]:
    try:
        status, body = site.ask("/status")
    except OSError:
        return []
    return [bot["id"] for bot in body["bots"] if bot["phase"] == phase] if status == 200 else []


def test_a_killed_host_leaves_its_bots_and_the_next_one_adopts_them(site: Installation) -> None:
    before = started(site)
    site.kill_host()
    site.put("b0", v="changed meanwhile")
    site.enable("b1", False)
    site.delete("b2")
    site.put("new")
    site.start_host()
    expected = {f"b{number}" for number in range(BOTS)} - {"b1", "b2"} | {"new"}
    eventually(lambda: set(_in_phase(site, "running")) == expected, "as MongoDB says")
    after = site.running()
    untouched = {f"b{number}" for number in range(3, BOTS)}
    assert {one: after[one] for one in untouched} == {one: before[one] for one in untouched}
    assert after["b0"] != before["b0"]
    assert site.shown("b3")["restarts"] == 0


def test_bots_run_on_when_the_host_ends_in_order(site: Installation) -> None:
    before = started(site, 1)
    assert site.stop_host() == 0
    assert site.running() == before


def test_bots_can_be_stopped_with_the_host(site: Installation) -> None:
    site.settings["THE0_RUNNER__STOP_BOTS_ON_EXIT"] = "true"
    started(site, 2)
    assert site.stop_host() == 0
    assert not site.containers()
    site.start_host()
    eventually(lambda: len(_in_phase(site, "running")) == 2, "they run again")
    bot = site.shown("b0")
    assert (bot["last_exit"]["asked_by"], bot["crashes"]) == ("host", 0)


def test_another_host_takes_over_at_once(site: Installation) -> None:
    before = started(site, 2)
    first = site.hosts[0]
    site.start_host()
    time.sleep(2)
    assert "waiting to take over" in site.log()
    site.kill_host(first)
    began = time.monotonic()
    eventually(lambda: len(_in_phase(site, "running")) == 2, "the other one acts", within=30)
    assert site.running() == before
    assert time.monotonic() - began < 15
    site.put("later")
    eventually(lambda: site.phase("later") == "running", "it acts")


def test_what_is_remembered_outlives_the_host(site: Installation) -> None:
    site.put("b", crash_after=1)
    site.start_host()
    eventually(lambda: site.shown("b").get("crashes", 0) >= 2, "two crashes")
    eventually(lambda: site.phase("b") == "backoff", "backoff")
    time.sleep(1)
    before = site.shown("b")
    site.kill_host()
    site.start_host()
    after = eventually(lambda: site.shown("b"), "the next host knows it")
    assert after["crashes"] >= before["crashes"]
    assert after["restarts"] >= before["restarts"]
    assert after["exits"][0] == before["exits"][0]


@pytest.mark.parametrize("how", ["frozen", "killed"])
def test_mongodb_away(site: Installation, how: str) -> None:
    before = started(site, 3)
    _away(site.services.mongo, how)
    eventually(lambda: site.ask("/readyz")[0] == 503, "readiness names it")
    checks = site.ask("/readyz")[1]["dependencies"]
    assert [name for name, one in checks.items() if not one["ok"]] == ["mongodb"]
    assert site.ask("/healthz")[0] == 200
    ref = before["b0"]
    kill_container(site, ref)
    eventually(lambda: site.running().get("b0") not in (None, ref), "a crash is restarted")
    stays(lambda: {k: v for k, v in site.running().items() if k != "b0"}, OUTAGE_SEC, "the others")
    _back(site.services.mongo, how)
    eventually(lambda: site.ask("/readyz")[0] == 200, "it is ready again")
    site.put("later")
    eventually(lambda: site.phase("later") == "running", "it acts again")
    assert site.shown("b0")["crashes"] == 1


@pytest.mark.parametrize("how", ["frozen", "killed"])
def test_storage_away_holds_back_starts_never_stops(site: Installation, how: str) -> None:
    site.settings["THE0_SYNC__FINAL_SEC"] = "2"
    before = started(site, 3)
    _away(site.services.s3, how)
    eventually(lambda: site.ask("/readyz")[0] == 503, "readiness names it")
    site.put("later")
    eventually(lambda: site.phase("later") == "pending", "the start waits")
    (condition,) = site.shown("later")["conditions"]
    assert condition["type"] == "StorageUnavailable"
    site.enable("b0", False)
    eventually(lambda: "b0" not in site.running(), "the stop is done")
    assert site.running()["b1"] == before["b1"]
    _back(site.services.s3, how)
    eventually(lambda: site.phase("later") == "running", "then it starts")
    eventually(lambda: not site.shown("b0")["conditions"], "what b0 left is stored")
    assert site.store.stat_object("bot-state", "b0/state.tar.gz").size
    assert {one: site.running()[one] for one in ("b1", "b2")} == {
        one: before[one] for one in ("b1", "b2")
    }


def test_nats_away(site: Installation) -> None:
    before = started(site, 2)
    site.services.nats.kill()
    site.put("later")
    eventually(lambda: site.phase("later") == "running", "it works from the pass")
    site.services.nats.restart()
    eventually(lambda: site.ask("/readyz")[0] == 200, "connected again")
    assert {one: site.running()[one] for one in before} == before


def test_two_hosts_and_random_changes_never_make_twins(site: Installation) -> None:
    site.start_host()
    site.start_host()
    chance = random.Random(7)
    wanted: dict[str, int | None] = {}
    for step in range(40):
        bot_id = f"b{chance.randrange(4)}"
        choice = chance.choice(["put", "put", "enable", "disable", "delete", "kill", "host"])
        if choice == "put":
            site.put(bot_id, v=step)
            wanted[bot_id] = step
        elif choice in ("enable", "disable") and wanted.get(bot_id) is not None:
            site.enable(bot_id, choice == "enable")
            wanted[bot_id] = wanted[bot_id] if choice == "enable" else None
        elif choice == "delete":
            site.delete(bot_id)
            wanted.pop(bot_id, None)
        elif choice == "kill" and (running := site.running()):
            kill_container(site, chance.choice(sorted(running.values())))
        elif choice == "host":
            site.kill_host(chance.choice(site.hosts))
            site.start_host()
        time.sleep(chance.random())
        site.running()
    expected = {one["id"] for one in site.bots.find({"enabled": True})}
    eventually(lambda: set(site.running()) == expected, "as MongoDB says", within=60)
    eventually(lambda: set(_in_phase(site, "running")) == expected, "and so it is shown")


def kill_container(site: Installation, ref: str) -> None:
    with site.executor() as executor:
        executor.kill(ref)


def _away(server: object, how: str) -> None:
    actions: dict[str, Callable[[], None]] = {
        "frozen": server.freeze,  # type: ignore[attr-defined]
        "killed": server.kill,  # type: ignore[attr-defined]
    }
    actions[how]()


def _back(server: object, how: str) -> None:
    server.thaw() if how == "frozen" else server.restart()  # type: ignore[attr-defined]
