"""The whole agent, with real processes, when its gateway or what that gives is at fault."""

from __future__ import annotations

import signal

import pytest

from tests.support.agent import FOREVER, PATIENCE_SEC, Agent, wait_until
from tests.support.fake_gateway import StoredState


@pytest.mark.parametrize(
    ("request_", "fault"),
    [
        ("GET /v1/launch", "401"),
        ("GET /v1/launch", "torn"),
        ("GET /v1/code", "404"),
        ("GET /v1/code", "torn"),
        ("HEAD /v1/state", "503"),
        ("HEAD /v1/state", "close"),
        ("GET /v1/state", "torn"),
    ],
)
def test_a_start_waits(agent: Agent, request_: str, fault: str) -> None:
    agent.run("open('../state/k', 'w').write('old')")
    for path in (agent.state / "k", agent.var / "state.json"):
        path.unlink()
    stored = agent.gateway.state
    agent.gateway.faults[request_] = fault
    agent.give("print(open('../state/k').read())")
    process = agent.start()
    asked = agent.gateway.requests.count(request_)
    wait_until(lambda: agent.gateway.requests.count(request_) > asked, "a first try")
    assert process.poll() is None
    assert agent.gateway.lines() == []
    assert agent.gateway.state is stored
    agent.gateway.faults.clear()
    assert process.wait(PATIENCE_SEC) == 0
    assert agent.gateway.lines() == ["old"]
    assert "is over" in agent.console()


def test_it_is_not_there_and_stopping_works_at_once(agent: Agent) -> None:
    agent.gateway.stop()
    agent.start()
    wait_until(lambda: "the0: " in agent.console(), "a word")
    assert agent.stop() == 128 + signal.SIGTERM
    assert agent.console().count("the0: ") == 1


def test_it_goes_while_the_bot_runs(agent: Agent) -> None:
    agent.give(
        "import signal, sys\ndef end(*_):\n"
        "    open('../state/last', 'w').write('words'); print('bye'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n" + FOREVER,
        sync={"final_sec": 1.0},
    )
    agent.start()
    wait_until(agent.gateway.lines)
    agent.gateway.stop()
    assert agent.stop() == 0
    assert "state not saved" in agent.console()
    agent.gateway.start()
    agent.give("", kind="flush", commands={})
    assert agent.start().wait(PATIENCE_SEC) == 0
    assert agent.gateway.lines() == ["up", "bye"]
    assert agent.gateway.uploads == 1
    assert agent.gateway.exit()["state_saved"] is True


def test_a_hung_one_does_not_outlive_the_final_sync(agent: Agent) -> None:
    agent.give(FOREVER, sync={"final_sec": 0.5}, stop_grace_sec=0.1)
    agent.start()
    wait_until(lambda: agent.gateway.phase() == "running")
    (agent.state / "k").write_text("1")
    agent.gateway.faults.update(
        {"PUT /v1/state": "hang", "POST /v1/logs": "hang", "POST /v1/status": "hang"}
    )
    assert agent.stop() == 128 + signal.SIGTERM
    assert agent.gateway.state is None


def test_a_conflict_waits_for_a_person(agent: Agent) -> None:
    agent.run("open('../state/k', 'w').write('ours')")
    agent.gateway.state = StoredState(b"", "of somebody else", "f" * 64)
    (agent.state / "k").write_text("ours, changed")
    agent.give("print(open('../state/k').read())")
    process = agent.start()
    wait_until(lambda: "StateConflict" in agent.gateway.conditions(), "the condition")
    assert process.poll() is None
    agent.gateway.document["state"] = {"keep": "local"}
    assert process.wait(PATIENCE_SEC) == 0
    assert agent.gateway.lines() == ["ours, changed"]
    assert agent.gateway.state.tree != "f" * 64


def test_stopped_in_a_conflict_the_volume_is_not_called_saved(agent: Agent) -> None:
    agent.run("open('../state/k', 'w').write('ours')")
    agent.gateway.state = StoredState(b"", "of somebody else", "f" * 64)
    (agent.state / "k").write_text("ours, changed")
    agent.give(FOREVER)
    agent.start()
    wait_until(lambda: "StateConflict" in agent.gateway.conditions(), "the condition")
    assert agent.stop() == 128 + signal.SIGTERM
    assert agent.gateway.exit()["state_saved"] is False
    agent.give("", kind="flush", commands={}, state={"keep": "local"})
    assert agent.start().wait(PATIENCE_SEC) == 0
    assert agent.gateway.exit()["state_saved"] is True
    assert agent.gateway.state.tree != "f" * 64


def test_broken_code_ends_the_launch(agent: Agent) -> None:
    agent.give("")
    agent.gateway.code = b"no zip"
    assert agent.start().wait(PATIENCE_SEC) == 70
    ended = agent.gateway.exit()
    assert (ended["code"], ended["reason"]) == (None, "platform")
    assert "no zip" in agent.gateway.conditions()["CodeInvalid"]["message"]
    # What an earlier launch left on the volume was not looked at.
    assert ended["state_saved"] is False
