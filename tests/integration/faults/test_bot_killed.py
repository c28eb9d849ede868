"""A bot dies by kill -9, alone or with its whole container, and is back with what it wrote."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import docker
import pytest

from tests.support.faults import kill_bot_process, numbers, output, started
from tests.support.runner import Installation, eventually
from tests.support.soak import scaled

KILLS = scaled(2, 5)
BACK_SEC = 1.0
"""How long a restart may take beyond the backoff; a test allows five times as much."""


@pytest.mark.parametrize(("what", "reason"), [("process", "exited"), ("container", "killed")])
def test_it_is_back_with_its_state(
    site: Installation, docker_engine: docker.DockerClient, what: str, reason: str
) -> None:
    started(site, "b")
    for crashes in range(1, KILLS + 1):
        ref = site.running()["b"]
        eventually(lambda ref=ref: len(_wrote(docker_engine, ref)) > 5, "it has written")
        if what == "process":
            kill_bot_process(docker_engine, ref)
        else:
            docker_engine.containers.get(ref).kill()
        new = eventually(lambda ref=ref: _other(site, ref), "a new container")
        eventually(lambda new=new: _wrote(docker_engine, new), "it writes again")
        bot = eventually(lambda: (b := site.shown("b"))["phase"] == "running" and b, "it runs")
        exit_ = bot["last_exit"]
        assert (exit_["code"], exit_["signal"]) == (137, 9)
        assert (exit_["reason"], exit_["asked_by"], exit_["oom_killed"]) == (reason, "", False)
        assert (bot["crashes"], bot["restarts"], len(bot["exits"])) == (crashes, crashes, crashes)
        said, (found,) = numbers(exit_["log_tail"], "wrote"), _found(docker_engine, new)
        # What it wrote last it may not have come to say.
        assert found >= said[-1]
        assert _wrote(docker_engine, new)[0] == found + 1
        assert _gap(docker_engine, new, exit_) < 5 * (BACK_SEC + 2.0 ** (crashes - 1))


def _other(site: Installation, ref: str) -> str | None:
    found = site.running().get("b")
    return found if found != ref else None


def _wrote(engine: docker.DockerClient, ref: str) -> list[int]:
    return numbers(output(engine, ref), "wrote")


def _found(engine: docker.DockerClient, ref: str) -> list[int]:
    return numbers(output(engine, ref), "found")


def _gap(engine: docker.DockerClient, ref: str, exit_: dict[str, Any]) -> float:
    """Seconds between the end of the old container and the start of the new one."""
    started_at = engine.containers.get(ref).attrs["State"]["StartedAt"]
    begin = datetime.fromisoformat(started_at[:26] + "+00:00")
    return (begin - datetime.fromisoformat(exit_["at"])).total_seconds()
