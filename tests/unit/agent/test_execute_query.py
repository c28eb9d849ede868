"""The agent in a container that answers one query, perhaps after a wait for it."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from tests.support.agent import PATIENCE_SEC, Agent, wait_until
from the0.agent import waiting
from the0.agent.client import Credentials, Gateway
from the0.agent.reactor import Reactor

FOREVER = "import time\nwhile True: time.sleep(0.05)\n"
QUERY: dict[str, Any] = {
    "kind": "query",
    "entrypoints": {"query": "main.py"},
    "commands": {"query": [sys.executable, "main.py"]},
}


def test_a_launch_without_a_job_waits_for_its_one_query(agent: Agent) -> None:
    agent.give("print('done')", **QUERY, query={"path": "/x"})
    document, agent.gateway.document = agent.gateway.document, None
    process = agent.start()
    wait_until(lambda: agent.gateway.requests.count("GET /v1/launch") >= 2, "the wait")
    assert set(agent.gateway.requests) == {"GET /v1/launch"}
    agent.gateway.document = document
    assert process.wait(PATIENCE_SEC) == 0
    assert agent.gateway.lines() == ["done"]


def test_a_launch_that_waits_ends_when_asked_to(agent: Agent) -> None:
    agent.gateway.document = None
    agent.start()
    wait_until(lambda: agent.gateway.requests.count("GET /v1/launch") >= 2, "the wait")
    assert agent.stop() == 128 + signal.SIGTERM


def test_a_query_begins_with_the_stored_state_whatever_the_volume_holds(agent: Agent) -> None:
    agent.run("open('../state/k', 'w').write('stored')")
    (agent.state / "k").write_text("other")
    (agent.state / "more").write_text("other")
    code = agent.run(
        "import os; print(os.listdir('../state'), open('../state/k').read())",
        **QUERY,
        query={"path": "/x"},
    )
    assert code == 0
    assert agent.gateway.lines() == ["['k'] stored"]
    assert agent.gateway.uploads == 1


def test_damaged_state_keeps_a_query_waiting_and_says_why(agent: Agent) -> None:
    agent.run("open('../state/k', 'w').write('stored')")
    assert agent.gateway.state
    whole, agent.gateway.state.tree = agent.gateway.state.tree, "0" * 64
    agent.give("print('done')", **QUERY, query={"path": "/x"})
    process = agent.start()
    wait_until(lambda: "StateUnavailable" in agent.gateway.conditions(), "the condition")
    agent.gateway.state.tree = whole
    assert process.wait(PATIENCE_SEC) == 0


@pytest.mark.parametrize("hung", ["GET /v1/state", ""], ids=["preparing", "running"])
def test_a_query_ends_when_nobody_waits_for_it_any_more(agent: Agent, hung: str) -> None:
    agent.gateway.faults[hung] = "hang"
    begun = time.monotonic()
    code = agent.run(FOREVER, **QUERY, query={"path": "/x", "deadline_sec": 1.0})
    assert code == (70 if hung else 128 + signal.SIGKILL)
    assert 1.0 <= time.monotonic() - begun < 10


def test_an_answer_that_is_too_large_is_told_with_the_end(agent: Agent) -> None:
    code = agent.run(
        "open('../query/result.json', 'w').write('1' * ((1 << 20) + 1))",
        **QUERY,
        query={"path": "/x"},
    )
    assert code == 0
    assert agent.gateway.results == []
    assert agent.gateway.exit()["code"] == 0
    assert "ResultTooLarge" in agent.gateway.conditions()


def test_a_wait_outlives_its_gateway(agent: Agent) -> None:
    agent.give("print('done')", **QUERY, query={"path": "/x"})
    document, agent.gateway.document = agent.gateway.document, None
    process = agent.start()
    wait_until(lambda: agent.gateway.requests.count("GET /v1/launch") >= 2, "the wait")
    agent.gateway.stop()
    time.sleep(0.5)
    assert process.poll() is None
    agent.gateway.start()
    agent.gateway.document = document
    assert process.wait(PATIENCE_SEC) == 0
    assert agent.gateway.lines() == ["done"]


def test_a_wait_costs_one_process(agent: Agent) -> None:
    agent.gateway.document = None
    process = agent.start()
    wait_until(lambda: agent.gateway.requests.count("GET /v1/launch") >= 2, "the wait")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until(lambda: not children.read_text(), "it is alone")


def test_a_container_that_was_forgotten_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LONGEST_SEC", -1.0)
    news, ends = Mock(), Mock()
    nobody = Gateway("/nonexistent", Credentials("a", "b"))
    waiting.JobWait(Reactor(), nobody, news, ends).start()
    ends.assert_called_once_with()
    news.assert_not_called()
