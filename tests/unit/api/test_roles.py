"""What roles say over real Unix sockets: alive, failing, dead, and never started."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.api import METRICS, RUN_ID, Runner, Scheduler
from the0.api.roles import RoleAnswer, Roles, merged_metrics
from the0.errors import Conflict, NotFound, The0Error, Unavailable
from the0.http import unix_socket


async def test_a_role_that_answers_is_given_as_it_is(tmp_path: Path) -> None:
    runner = Runner(bots=[{"id": "a"}], ready=False)
    async with runner.serving(tmp_path / "runner.sock"):
        roles = Roles(tmp_path)
        assert (await roles.status("runner"))["bots"] == [{"id": "a"}]
        (answer,) = await roles.ask_all("/readyz")
        assert (answer.status, answer.value) == (503, {"mongo": "does not answer"})
        assert await roles.tell("runner", "/wake", "a/b ü")
    assert runner.told == [("/wake", "a/b ü")]


@pytest.mark.parametrize("stale", [False, True])
async def test_a_role_that_is_down_says_how_to_start_it(tmp_path: Path, stale: bool) -> None:
    if stale:
        unix_socket(tmp_path / "runner.sock").close()
    roles = Roles(tmp_path)
    (answer,) = await roles.ask_all("/healthz")
    assert (answer.role, answer.status) == ("runner", 0)
    with pytest.raises(Unavailable, match="the0-host --role runner"):
        await roles.status("runner")
    assert not await roles.tell("runner", "/wake", "a")


@pytest.mark.parametrize("error", [NotFound("no such bot"), Conflict("it is disabled")])
async def test_a_command_that_a_role_refuses_comes_back_as_the_error_that_it_was(
    tmp_path: Path, error: The0Error
) -> None:
    roles = Roles(tmp_path)
    async with Scheduler(refused={"b": error}).serving(tmp_path / "scheduler.sock"):
        assert await roles.command("scheduler", "/run-now", {"bot_id": "a"}) == {"run": RUN_ID}
        with pytest.raises(type(error), match=error.message):
            await roles.command("scheduler", "/run-now", {"bot_id": "b"})
    with pytest.raises(Unavailable, match="the0-host --role scheduler"):
        await roles.command("scheduler", "/run-now", {"bot_id": "a"})


def test_metrics_of_all_roles_become_one_page() -> None:
    answers = [
        RoleAnswer("runner", 200, METRICS),
        RoleAnswer("scheduler", 200, METRICS),
        RoleAnswer("gateway", 0, "down"),
    ]
    page = merged_metrics(answers).decode()
    assert page.count("# TYPE bots gauge") == 1
    assert 'bots{phase="running",role="runner"} 2.0' in page
    assert 'bots{phase="running",role="scheduler"} 2.0' in page


def test_an_error_of_a_role_is_told_in_its_own_words() -> None:
    answer = RoleAnswer("runner", 503, '{"error":{"code":"unavailable","message":"starting"}}')
    assert answer.message == "starting"
    assert RoleAnswer("runner", 0, "down").message == "down"
    assert RoleAnswer("runner", 503, '{"ok":false}').message == '{"ok":false}'
