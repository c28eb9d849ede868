"""Waiting for a run outlasts a host that is restarted, and gives up on one that stays away."""

from __future__ import annotations

from typing import Any

import pytest

from the0.cli import bot_run
from the0.cli.bot_run import ended_run
from the0.cli.client import ApiClient
from the0.errors import NotFound, The0Error, Unavailable


class Answers(ApiClient):
    """An API that gives these answers to GET, one after the other, and the last one for ever."""

    def __init__(self, *answers: dict[str, Any] | The0Error) -> None:
        super().__init__("http://127.0.0.1:1", "token")
        self._answers = list(answers)

    def get(self, path: str, **query: Any) -> Any:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, The0Error):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot_run, "POLL_SEC", 0.001)


def test_a_restarted_host_is_waited_for() -> None:
    going, ended = {"outcome": None}, {"outcome": "succeeded"}
    with Answers(going, Unavailable("restarting"), going, Unavailable("again"), ended) as api:
        assert ended_run(api, "run") == ended


def test_one_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot_run, "PATIENCE_SEC", 0.05)
    with Answers({"outcome": None}, Unavailable("gone")) as api, pytest.raises(Unavailable):
        ended_run(api, "run")


def test_a_run_that_is_forgotten_is_told_at_once() -> None:
    with Answers({"outcome": None}, NotFound("no such run")) as api, pytest.raises(NotFound):
        ended_run(api, "run")
