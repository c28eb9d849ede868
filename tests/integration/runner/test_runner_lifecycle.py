"""One bot from its document to its end, with real parts."""

from __future__ import annotations

import io
import signal
import tarfile
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest

from tests.support.faults import ready, spooled_lines, stored_state, watching
from tests.support.runner import Installation, eventually, stays


def started(site: Installation, bot_id: str = "b", **config: Any) -> str:
    """Start a host and a bot; the ref of its container once the bot itself runs."""
    site.put(bot_id, **config)
    site.start_host()
    eventually(lambda: site.phase(bot_id) == "running", f"{bot_id} runs")
    return site.running()[bot_id]


def choose(site: Installation, bot_id: str, keep: str) -> None:
    """As `the0 bot state keep` does."""
    record, choice = {"_id": f"{site.installation}/{bot_id}"}, {"$set": {"state_keep": keep}}
    assert site.client["the0"]["bot_status"].update_one(record, choice).matched_count == 1


def test_changed_disabled_enabled_deleted(site: Installation) -> None:
    first = started(site, v=1)
    site.put("b", v=2)
    site.wake("b")
    eventually(lambda: site.running().get("b") not in (None, first), "a new container")
    eventually(lambda: site.phase("b") == "running", "b runs again")
    bot = site.shown("b")
    assert (bot["last_exit"]["asked_by"], bot["crashes"]) == ("changed", 0)
    assert "hello b 1" in bot["last_exit"]["log_tail"]

    site.enable("b", False)
    eventually(lambda: site.phase("b") == "disabled" and not site.containers(), "b is disabled")
    assert site.shown("b")["last_exit"]["asked_by"] == "disabled"
    assert int(stored_state(site, "b")["count"]) > 0

    site.enable("b", True)
    eventually(lambda: site.phase("b") == "running", "b runs once more")
    site.delete("b")
    with site.executor() as executor:
        eventually(lambda: "b" not in executor.bot_volumes(), "b and its volumes are gone")
    eventually(lambda: not site.shown("b"), "b is forgotten")
    assert stored_state(site, "b"), "the stored state stays"
    assert not list(site.root.glob("launches/*.json"))


def test_the_state_of_the_last_stop_is_what_the_next_start_sees(site: Installation) -> None:
    started(site)
    site.enable("b", False)
    site.wake("b")
    eventually(lambda: not site.containers(), "b is stopped")
    count = int(stored_state(site, "b")["count"])
    site.enable("b", True)
    site.wake("b")
    ref = eventually(lambda: site.running().get("b"), "b is back")
    with site.executor() as executor:
        eventually(
            lambda: f"count was {count}" in executor.log_tail(ref, 50), f"it goes on from {count}"
        )


def test_a_bot_deleted_in_conflict_keeps_its_volume_until_somebody_has_chosen(
    site: Installation, docker_engine: docker.DockerClient
) -> None:
    started(site)
    site.enable("b", False)
    eventually(lambda: site.phase("b") == "disabled" and not site.containers(), "b is disabled")
    volumes = docker_engine.volumes.list(filters={"label": ["runtime.id=b", "the0.volume=state"]})
    (mine,) = [one for one in volumes if one.attrs["Labels"]["the0.instance"] == site.instance]
    Path(mine.attrs["Mountpoint"], "count").write_text("5000")
    site.store.put_object("bot-state", "b/state.tar.gz", io.BytesIO(b"by somebody else"), 16)
    site.enable("b", True)
    eventually(lambda: "StateConflict" in str(site.shown("b").get("conditions")), "a conflict")

    site.delete("b")
    site.wake("b")
    eventually(lambda: site.shown("b")["last_exit"]["asked_by"] == "deleted", "b is stopped")
    with site.executor() as executor:
        stays(lambda: "b" in executor.bot_volumes(), 4, "what is not stored stays")
        choose(site, "b", "local")
        eventually(lambda: "b" not in executor.bot_volumes(), "b and its volumes are gone")
    assert stored_state(site, "b")["count"] == "5000"


def test_a_stop_right_after_the_start_is_heard(
    site: Installation, docker_engine: docker.DockerClient
) -> None:
    """Process 1 ignores a SIGTERM until it has a handler, and would be killed after 30 s."""
    site.start_host()
    eventually(lambda: ready(site), "the runner is ready")
    for number in range(3):
        with watching(docker_engine, site.instance) as watch:
            site.put("b", v=number)
            site.enable("b", True)
            site.wake("b")
            eventually(lambda w=watch: "start" in w.actions("b"), "it starts", pause=0.01)
            site.enable("b", False)
            site.wake("b")
            eventually(lambda: site.phase("b") == "disabled", "it is disabled")
        assert site.shown("b")["last_exit"]["signal"] != signal.SIGKILL


def test_a_crash_is_recorded_backs_off_and_is_told(site: Installation) -> None:
    site.put("b", crash_after=2)
    site.start_host()
    bot = eventually(
        lambda: (bot := site.shown("b")).get("crashes", 0) >= 3 and bot, "three crashes"
    )
    exit_ = bot["last_exit"]
    assert (exit_["code"], exit_["reason"], exit_["asked_by"]) == (1, "exited", "")
    assert "RuntimeError: boom" in exit_["log_tail"]
    assert exit_["peak_memory_bytes"] > 1_000_000
    eventually(
        lambda: (bot := site.shown("b"))["phase"] == "backoff" and bot["next_attempt_at"], "backoff"
    )
    site.put("b")
    site.wake("b")
    eventually(lambda: site.phase("b") == "running", "a mended bot starts at once", within=15)


def test_restart_policies(site: Installation) -> None:
    site.put("never", end_after=1, restart="never")
    site.put("on-failure", end_after=1, restart="on-failure")
    site.put("always", end_after=1)
    site.start_host()
    for bot_id in ("never", "on-failure"):
        eventually(lambda bot_id=bot_id: site.phase(bot_id) == "ended", f"{bot_id} ended")
        assert site.shown(bot_id)["last_exit"]["code"] == 0
    eventually(lambda: site.shown("always").get("restarts", 0) >= 1, "always is restarted")
    site.enable("never", False)
    eventually(lambda: site.phase("never") == "disabled", "never is disabled")
    site.enable("never", True)
    eventually(lambda: len(site.shown("never")["exits"]) == 2, "enabled again, it ran again")


@pytest.mark.parametrize("how", ["kill", "remove"])
def test_a_container_that_dies_from_outside_is_replaced(
    site: Installation, docker_engine: docker.DockerClient, how: str
) -> None:
    ref = started(site)
    container = docker_engine.containers.get(ref)
    container.kill() if how == "kill" else container.remove(force=True)
    eventually(lambda: site.running().get("b") not in (None, ref), "a new container", within=15)
    bot = eventually(lambda: (bot := site.shown("b"))["restarts"] and bot, "it is counted")
    assert (bot["restarts"], bot["crashes"]) == (1, 1)
    assert bot["last_exit"]["reason"] == ("killed" if how == "kill" else "lost")


def test_a_paused_container_goes_on(site: Installation, docker_engine: docker.DockerClient) -> None:
    ref = started(site)
    eventually(lambda: paused(docker_engine, ref), "it is paused")
    eventually(lambda: site.running().get("b") == ref, "it runs again")


def paused(engine: docker.DockerClient, ref: str) -> bool:
    """Pause a container; on a busy machine the kernel does not always freeze it in time."""
    try:
        engine.containers.get(ref).pause()
    except docker.errors.APIError as error:
        if "unable to freeze" not in str(error):
            raise
        return False
    return True


def test_what_cannot_be_understood_costs_only_itself(site: Installation) -> None:
    ref = started(site)
    site.bots.insert_one({"id": "broken", "config": "nonsense"})
    site.bots.insert_one({"id": 7})
    site.bots.update_one({"id": "b"}, {"$set": {"config.resources": {"memory_mb": 1_000_000}}})
    eventually(lambda: site.phase("broken") == "invalid", "broken is set aside")
    (condition,) = site.shown("b")["conditions"]
    assert condition["type"] == "InvalidDocument"
    assert "memory_mb" in condition["message"]
    assert site.running() == {"b": ref}
    assert "NamelessDocuments" in host_conditions(site)


def test_bots_that_never_ran_leave_nothing_when_their_documents_go(site: Installation) -> None:
    for bot_id in ("stays", "too", "off"):
        site.put(bot_id)
        site.enable(bot_id, False)
    site.bots.insert_one({"id": "broken", "config": "nonsense"})
    site.start_host()
    records = site.client["the0"]["bot_status"]
    eventually(lambda: site.phase("off") == "disabled", "off is seen")
    eventually(lambda: records.find_one({"bot_id": "broken"}), "broken is remembered")
    for bot_id in ("off", "broken"):
        site.delete(bot_id)
    eventually(
        lambda: {bot["id"] for bot in site.ask("/status")[1]["bots"]} == {"stays", "too"},
        "what is deleted is no longer shown",
    )
    eventually(lambda: not records.find_one({"bot_id": "broken"}), "nor remembered")


def test_a_missing_runtime_is_named(site: Installation) -> None:
    site.put("b")
    site.bots.update_one({"id": "b"}, {"$set": {"custom.config.runtime": "cobol74"}})
    site.start_host()
    eventually(lambda: site.phase("b") == "pending", "b waits")
    (condition,) = site.shown("b")["conditions"]
    assert condition["type"] == "RuntimeMissing"
    assert "cobol74" in condition["message"]


def test_an_emptied_database_must_be_seen_twice(site: Installation) -> None:
    site.settings["RECONCILE_INTERVAL"] = "1h"
    ref = started(site)
    documents = list(site.bots.find())
    site.bots.delete_many({})
    site.wake(None)
    eventually(lambda: "DesiredShrunk" in host_conditions(site), "the doubt is told")
    site.bots.insert_many(documents)
    site.wake(None)
    eventually(lambda: "DesiredShrunk" not in host_conditions(site), "the doubt is over")
    assert site.running() == {"b": ref}, "one empty read stops nobody"
    site.bots.delete_many({})
    site.wake(None)
    eventually(lambda: "DesiredShrunk" in host_conditions(site), "the doubt is told again")
    site.wake(None)
    stays(lambda: site.running() == {"b": ref}, 3, "reads right after each other are as one")
    eventually(lambda: not site.containers(), "a read some seconds later is believed")


def test_a_purge_takes_the_stored_state_and_logs_along(site: Installation) -> None:
    started(site, "p")
    assert site.ask("/purge", {"bot_id": "p"})[0] == 409, "while its document is there"
    eventually(lambda: stored_state(site, "p"), "its state is stored")
    site.delete("p")
    assert site.ask("/purge", {"bot_id": "p"})[0] == 202
    site.wake("p")
    eventually(lambda: not site.shown("p") and not site.containers(), "it is gone")
    eventually(lambda: not stored_state(site, "p"), "its stored state too")


def test_a_conflict_of_states_waits_for_a_person(site: Installation) -> None:
    ref = started(site, "s")
    eventually(lambda: stored_state(site, "s"), "its state is stored")
    assert site.stop_host() == 0
    with site.executor() as executor:
        executor.kill(ref)
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as archive:
        count = tarfile.TarInfo("count")
        count.size = 6
        archive.addfile(count, io.BytesIO(b"100000"))
    body.seek(0)
    site.store.put_object("bot-state", "s/state.tar.gz", body, len(body.getvalue()))
    site.start_host()
    eventually(lambda: "StateConflict" in _conditions(site, "s"), "the conflict is told")
    assert stored_state(site, "s")["count"] == "100000", "nothing was overwritten"

    choose(site, "s", "stored")
    site.wake("s")
    eventually(lambda: site.phase("s") == "running", "it runs with the answer")
    eventually(lambda: "count was 100000" in spooled_lines(site, "s"), "with what is stored")
    eventually(lambda: "StateConflict" not in _conditions(site, "s"), "the conflict is over")


def host_conditions(site: Installation) -> list[str]:
    return [one["type"] for one in site.ask("/status")[1]["host_conditions"]]


def _conditions(site: Installation, bot_id: str) -> list[str]:
    return [one["type"] for one in site.shown(bot_id).get("conditions", [])]
