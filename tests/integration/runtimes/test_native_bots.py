"""A program in C, linked statically and dynamically, as every kind of bot; and doing odd things."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.support.agent import wait_until
from tests.support.bot_containers import InImage, ask_served, code_of, project_of
from the0.project import Project


def project(folder: Path, kind: str, program: bytes, runtime: str = "gcc13") -> Project:
    """The program as a bot and as its queries; no execute bit, as in an uploaded archive."""
    entrypoints = {"bot": "bot", "query": "bot"}
    return project_of(folder / "project", runtime, kind, entrypoints, bot=program)


@pytest.mark.parametrize(("linked", "runtime"), [("static", "rust-stable"), ("dynamic", "gcc13")])
def test_a_realtime_program_runs_answers_and_says_goodbye(
    bots_of: InImage, programs: dict[str, bytes], tmp_path: Path, linked: str, runtime: str
) -> None:
    bots = bots_of(runtime)
    bots.give(project(tmp_path, "realtime", programs[linked], runtime), {})
    container = bots.start()
    wait_until(lambda: bots.said() == ["run 1 of bot-1"], "the bot's line")
    wait_until(lambda: container.exec_run(LISTENS).exit_code == 0, "the query server")
    assert ask_served(container, "/runs") == {"status": "ok", "data": {"runs": 1}}
    container.kill(signal.SIGTERM)
    assert code_of(container) == 0
    assert bots.gateway.lines("stdout")[-1] == "bye"


LISTENS = ["python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 9476))"]


@pytest.mark.parametrize(("linked", "runtime"), [("static", "ghc96"), ("dynamic", "cpp-gcc13")])
def test_a_scheduled_program_ends_with_its_result_and_is_asked(
    bots_of: InImage, programs: dict[str, bytes], tmp_path: Path, linked: str, runtime: str
) -> None:
    bots = bots_of(runtime)
    counter = project(tmp_path, "scheduled", programs[linked], runtime)
    for config, code in (({}, 0), ({"do": "fail"}, 4)):
        bots.give(counter, config)
        assert bots.run() == code
        assert json.loads(bots.gateway.results[-1])["message"] == "counted"
    assert bots.ask(counter, {}, "/runs") == {"status": "ok", "data": {"runs": 2}}


@pytest.mark.parametrize(
    ("odd", "code"),
    [("daemon chdir", 0), ("binary close", 0), ("trap binary close daemon chdir", 137)],
)
def test_odd_programs_are_stopped_and_their_state_is_saved(
    bots_of: InImage, programs: dict[str, bytes], tmp_path: Path, odd: str, code: int
) -> None:
    bots = bots_of("gcc13")
    counter = project(tmp_path, "realtime", programs["static"])
    bots.give(counter, {"do": odd}, stop_grace_sec=1.0)
    container = bots.start()
    wait_until(lambda: "run 1" in " ".join(bots.said()), "the bot's line")
    wait_until(lambda: bots.gateway.state, "its state is stored")
    container.kill(signal.SIGTERM)
    assert code_of(container) == code
    # What the next container restores is what this one wrote.
    bots.give(counter, {}, kind="scheduled")
    assert bots.run() == 0
    assert bots.said()[-1] == "run 2 of bot-1"
