"""Two hosts of one instance: one acts, the other takes over; never two containers of a bot."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import docker
import docker.errors

from tests.support.faults import (
    in_phase,
    kill_bot_process,
    lives,
    numbers,
    output,
    spooled_lines,
    started,
    stored_state,
    watching,
    whole_log,
)
from tests.support.runner import Installation, eventually
from tests.support.soak import scaled

CHANGES_SEC = scaled(12.0, 60.0)
BOTS = [f"b{number}" for number in range(scaled(3, 6))]
CONVERGED_SEC = 5 * 30.0
"""Five times what the platform may take after the last change."""


class Chaos:
    """Changes at random what is wanted and what is there; `wanted` is what MongoDB has to say:
    bot id -> the version of its configuration, None for a disabled one."""

    def __init__(self, site: Installation, engine: docker.DockerClient, seed: int) -> None:
        self.wanted: dict[str, int | None] = {}
        self.done: dict[str, int] = {}
        self._site = site
        self._engine = engine
        self._chance = random.Random(seed)
        self._version = 0

    def step(self) -> None:
        bot_id = self._chance.choice(BOTS)
        changes = (self.put, self.put, self.disable, self.enable, self.delete)
        kills = (self.kill_container, self.kill_process, self.kill_host)
        what: Callable[[str], None] = self._chance.choice([*changes, *kills])
        what(bot_id)
        self.done[what.__name__] = self.done.get(what.__name__, 0) + 1

    def put(self, bot_id: str) -> None:
        self._version += 1
        self._site.put(bot_id, "ledger", v=self._version)
        self.wanted[bot_id] = self._version

    def disable(self, bot_id: str) -> None:
        self._site.enable(bot_id, False)
        if bot_id in self.wanted:
            self.wanted[bot_id] = None

    def enable(self, bot_id: str) -> None:
        found = self._site.bots.find_one({"id": bot_id})
        if found:
            self._site.enable(bot_id, True)
            self.wanted[bot_id] = found["config"]["v"]

    def delete(self, bot_id: str) -> None:
        self._site.delete(bot_id)
        self.wanted.pop(bot_id, None)

    def kill_container(self, bot_id: str) -> None:
        if life := lives(self._engine, self._site).get(bot_id):
            try:
                self._engine.containers.get(life.ref).kill()
            except docker.errors.APIError:
                return  # it went by itself

    def kill_process(self, bot_id: str) -> None:
        if life := lives(self._engine, self._site).get(bot_id):
            try:
                kill_bot_process(self._engine, life.ref)
            except (docker.errors.APIError, ValueError):
                return  # it has not begun, or went by itself

    def kill_host(self, _: str) -> None:
        self._site.kill_host(self._chance.choice(self._site.hosts))
        self._site.start_host()


def test_a_storm_of_changes_makes_no_twins_and_ends_as_mongodb_says(
    site: Installation, docker_engine: docker.DockerClient
) -> None:
    # With the default a bot that was killed often is due only minutes after the last change.
    site.settings["THE0_RUNNER__BACKOFF_MAX_SEC"] = "5"
    site.start_host()
    site.start_host()
    chaos = Chaos(site, docker_engine, seed=7)
    with watching(docker_engine, site.instance) as watch:
        until = time.monotonic() + CHANGES_SEC
        while time.monotonic() < until:
            chaos.step()
            time.sleep(random.uniform(0, 0.5))
        began = time.monotonic()
        expected = {bot_id: v for bot_id, v in chaos.wanted.items() if v is not None}
        eventually(lambda: _running(site, docker_engine) == expected, "as wanted", CONVERGED_SEC)
        eventually(lambda: in_phase(site, "running") == expected.keys(), "and so it is shown")
    print(f"{chaos.done}: as MongoDB says after {time.monotonic() - began:.1f} s")
    assert watch.twins() == []
    assert {one.bot_id for one in site.containers()} == expected.keys()


def test_the_other_host_takes_over_with_logs_and_state(
    site: Installation, docker_engine: docker.DockerClient
) -> None:
    site.settings |= {"THE0_SYNC__INTERVAL_SEC": "2", "THE0_SYNC__MIN_INTERVAL_SEC": "1"}
    started(site, "b0", "b1")
    before = lives(docker_engine, site)
    first = site.hosts[0]
    site.start_host()
    eventually(lambda: "waiting to take over" in site.log(), "the other one stands by")
    eventually(lambda: stored_state(site, "b0"), "state is stored")
    site.kill_host(first)
    began = time.monotonic()
    wrote = numbers(output(docker_engine, before["b0"].ref), "wrote")[-1]
    eventually(lambda: in_phase(site, "running") == {"b0", "b1"}, "the other one acts")
    print(f"the other host acts after {time.monotonic() - began:.1f} s")
    eventually(lambda: numbers(spooled_lines(site, "b0"), "wrote")[-1] > wrote, "lines still come")
    eventually(
        lambda: int(stored_state(site, "b0").get("count", 0)) > wrote, "state is still stored"
    )
    assert lives(docker_engine, site) == before
    assert site.shown("b0")["restarts"] == 0
    site.enable("b0", False)
    eventually(lambda: lives(docker_engine, site) == {"b1": before["b1"]}, "it acts")
    lines = eventually(lambda: whole_log(site, "b0"), "the log is stored to its end")
    said = numbers(lines, "wrote")
    assert said == list(range(1, len(said) + 1)), "no line is lost or doubled"
    assert stored_state(site, "b0")["count"] == str(said[-1])


def _running(site: Installation, engine: docker.DockerClient) -> dict[str, int]:
    """Bot id -> the version of the configuration that its container runs with."""
    found = {}
    for bot_id, life in lives(engine, site).items():
        try:
            said = numbers(output(engine, life.ref), "runs")
        except docker.errors.APIError:
            continue  # it goes while it is looked at
        found |= dict.fromkeys([bot_id], said[-1]) if said else {}
    return found
