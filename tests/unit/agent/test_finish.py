"""The final sync: each thing as long as there is time, none at the cost of another."""

from __future__ import annotations

import errno
import shutil
import threading
import time

import pytest

from tests.support.agent import Agent, wait_until
from the0.agent import cursor, saving
from the0.agent.finish import Ending, finish
from the0.agent.job import Job
from the0.agent.status import Exit, Status

RECORD = "2026-11-24T04:08:22.123456789Z stdout F last words\n"


@pytest.fixture
def ended(agent: Agent, job: Job) -> Job:
    """A scheduled bot that ended and left a result, a line and a changed state."""
    (agent.root / "bot/result.json").write_text("{}")
    (agent.var / "logs").mkdir()
    (agent.var / "logs/bot.log").write_text(RECORD)
    (agent.state / "k").write_text("1")
    return job._replace(launch=job.launch._replace(kind="scheduled"))


def run(job: Job, seconds: float) -> bool:
    """Whether everything arrived."""
    sent: list[dict[str, object]] = []
    ending = Ending(Exit(0, None, "exited"), True, time.monotonic() + seconds)
    finish(job, Status(), ending, sent.append)
    return bool(sent[-1]["complete"])


def test_what_failed_is_tried_until_the_end(agent: Agent, ended: Job) -> None:
    agent.gateway.faults.update({"PUT /v1/result": "503", "POST /v1/logs": "503"})

    def heal() -> None:
        wait_until(lambda: agent.gateway.uploads, "the state")
        agent.gateway.faults.clear()

    healing = threading.Thread(target=heal)
    healing.start()
    assert run(ended, 20)
    healing.join()
    assert agent.gateway.results == [b"{}"]
    assert agent.gateway.lines() == ["last words"]
    assert agent.gateway.exit()["state_saved"] is True


def test_lines_that_are_left_behind_are_unsaved_too(agent: Agent, ended: Job) -> None:
    agent.gateway.faults["POST /v1/logs"] = "503"
    assert not run(ended, 1)
    assert agent.gateway.uploads == 1
    assert agent.gateway.exit()["state_saved"] is False


def test_a_snapshot_without_an_end_does_not_cost_the_report(
    agent: Agent, ended: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "save", lambda _: time.sleep(1000))
    assert not run(ended, 2)
    assert agent.gateway.results == [b"{}"]
    assert agent.gateway.exit()["state_saved"] is False
    assert "by the end" in agent.gateway.conditions()["StateNotSaved"]["message"]


@pytest.mark.parametrize("harm", ["logs", "disk", "bot"])
def test_harm_to_one_thing_spares_the_others(
    agent: Agent, ended: Job, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if harm == "disk":
        monkeypatch.setattr(cursor, "save", full)
    else:
        gone = {"logs": agent.var / "logs", "bot": agent.root / "bot"}[harm]
        shutil.rmtree(gone)
        gone.write_text("no folder")
    run(ended, 2)
    assert agent.gateway.uploads == 1
    assert agent.gateway.exit()["code"] == 0
    assert agent.gateway.lines() == ([] if harm in ("logs", "disk") else ["last words"])
