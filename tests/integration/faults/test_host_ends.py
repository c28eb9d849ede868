"""The host dies or ends: its bots do not notice, and the next host knows everything."""

from __future__ import annotations

import time

import docker

from tests.support.faults import in_phase, lives, started, watching
from tests.support.runner import Installation, eventually
from tests.support.soak import scaled

BOTS = scaled(6, 20)


def test_only_what_changed_meanwhile_is_touched(
    site: Installation, docker_engine: docker.DockerClient
) -> None:
    bots = [f"b{number}" for number in range(BOTS)]
    started(site, *bots)
    before = lives(docker_engine, site)
    with watching(docker_engine, site.instance) as watch:
        site.kill_host()
        site.put("b0", "ledger", v="changed meanwhile")
        site.enable("b1", False)
        site.delete("b2")
        site.put("new", "ledger")
        site.start_host()
        expected = {*bots, "new"} - {"b1", "b2"}
        eventually(lambda: in_phase(site, "running") == expected, "as MongoDB says")
        eventually(lambda: not site.shown("b2"), "b2 is forgotten")
    assert watch.touched() == {"b0", "b1", "b2", "new"}
    after = lives(docker_engine, site)
    untouched = expected - {"b0", "new"}
    assert {one: after[one] for one in untouched} == {one: before[one] for one in untouched}
    for bot_id in untouched:
        bot = site.shown(bot_id)
        assert (bot["restarts"], bot["crashes"], bot["exits"]) == (0, 0, [])
    assert site.shown("b0")["last_exit"]["asked_by"] == "changed"
    assert site.shown("b1")["last_exit"]["asked_by"] == "disabled"


def test_counts_exits_conditions_and_backoff_outlive_the_host(site: Installation) -> None:
    site.settings["THE0_RUNNER__BACKOFF_INITIAL_SEC"] = "5"
    site.put("crashes", crash_after=1)
    site.put("codeless", "none")
    site.start_host()
    eventually(
        lambda: (bot := site.shown("crashes")).get("crashes") == 2 and bot["phase"] == "backoff",
        "two crashes, and a long wait",
    )
    eventually(lambda: _conditions(site, "codeless"), "no code, and so a condition")
    time.sleep(2)
    before = {bot_id: site.shown(bot_id) for bot_id in ("crashes", "codeless")}
    site.kill_host()
    site.start_host()
    eventually(lambda: site.shown("crashes"), "the next host knows it")
    after = site.shown("crashes")
    kept = ("crashes", "restarts", "exits", "next_attempt_at", "phase")
    assert {name: after[name] for name in kept} == {name: before["crashes"][name] for name in kept}
    eventually(
        lambda: _conditions(site, "codeless") == _conditions_of(before["codeless"]),
        "the condition holds since when it held",
    )


def test_bots_run_on_when_the_host_ends_in_order(
    site: Installation, docker_engine: docker.DockerClient
) -> None:
    started(site, "b")
    before = lives(docker_engine, site)
    assert site.stop_host() == 0
    assert lives(docker_engine, site) == before


def test_bots_can_be_stopped_with_the_host(site: Installation) -> None:
    site.settings["THE0_RUNNER__STOP_BOTS_ON_EXIT"] = "true"
    started(site, "b0", "b1")
    assert site.stop_host() == 0
    assert not site.containers()
    site.start_host()
    eventually(lambda: in_phase(site, "running") == {"b0", "b1"}, "they run again")
    bot = site.shown("b0")
    assert (bot["last_exit"]["asked_by"], bot["crashes"]) == ("host", 0)


def _conditions(site: Installation, bot_id: str) -> list[tuple[str, str]]:
    return _conditions_of(site.shown(bot_id))


def _conditions_of(bot: dict[str, object]) -> list[tuple[str, str]]:
    found = bot.get("conditions") or []
    assert isinstance(found, list)
    return [(one["type"], one["since"]) for one in found]
