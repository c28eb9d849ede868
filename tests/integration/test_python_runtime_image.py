"""Python bots in the real image: built by the real engine, run by the agent in it, as the
containers of the platform are (user, read-only root, no network)."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from the0_runtime_python import PythonRuntime

from tests.support import bot_containers
from tests.support.agent import wait_until
from tests.support.bot_containers import Bots, ask_served, bots_in, built_image, code_of, example
from the0.project import Project


@pytest.fixture(scope="session")
def image(docker_engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    return built_image(PythonRuntime, tmp_path_factory.mktemp("executor"))


@pytest.fixture
def bots(docker_engine: docker.DockerClient, image: str, tmp_path: Path) -> Iterator[Bots]:
    with bots_in(docker_engine, image, tmp_path) as bots:
        yield bots


@pytest.fixture
def project_of(tmp_path: Path) -> Callable[..., Project]:
    """Makes a project of one program."""

    def make(main: str, kind: str = "realtime", requirements: str = "") -> Project:
        folder, entrypoints = tmp_path / "project", {"bot": "main.py"}
        files = {"main__py": main, "requirements__txt": requirements}
        return bot_containers.project_of(folder, "python3.11", kind, entrypoints, **files)

    return make


def test_the_realtime_example_runs_and_says_goodbye(bots: Bots) -> None:
    project, instance = example("price-alert")
    bots.give(project, {**instance, "interval_sec": 0.05})
    container = bots.start()
    wait_until(lambda: bots.said().count("tick") > 3, "a fourth tick")
    assert ask_served(container, "/price")["data"]["symbol"] == "BTC/USD"
    container.kill(signal.SIGTERM)
    assert code_of(container) == 0
    assert "stopping" in bots.said()
    assert bots.gateway.state is not None


def test_the_scheduled_example_ends_with_its_result_and_goes_on_next_time(bots: Bots) -> None:
    project, instance = example("daily-report")
    for reports in (1, 2):
        bots.give(project, instance)
        assert bots.run() == 0
        result = json.loads(bots.gateway.results[-1])
        assert (result["status"], result["data"]["reports"]) == ("success", reports)


def test_a_query_is_answered_from_the_stored_state(bots: Bots) -> None:
    project, instance = example("daily-report")
    bots.give(project, instance)
    assert bots.run() == 0
    answer = bots.ask(project, instance, "/history", limit=5)
    assert answer["status"] == "ok"
    assert len(answer["data"]) == 1


def test_an_exception_is_code_1_with_its_traceback_in_the_log(
    bots: Bots, project_of: Callable[..., Project]
) -> None:
    main = "def main(bot_id, config): raise RuntimeError('no funds')"
    project = project_of(kind="scheduled", main=main)
    bots.give(project, {})
    assert bots.run() == 1
    assert "RuntimeError: no funds" in bots.gateway.lines("stderr")
    assert json.loads(bots.gateway.results[-1]) == {"status": "error", "message": "no funds"}


def test_the_image_runs_this_python_with_the_platforms_sdk_compiled(
    bots: Bots, project_of: Callable[..., Project]
) -> None:
    source = (
        "import sys, the0, the0.sdk.state as s\n"
        "def main(): print(sys.version_info[:2], the0.__file__, s.__cached__)\n"
    )
    bots.give(project_of(main=source), {})
    assert bots.run() == 0
    (line,) = bots.gateway.lines("stdout")
    assert line.startswith("(3, 11) /opt/the0/sdk/the0/__init__.py /opt/the0/sdk/the0/sdk/")


def test_extensions_vendored_for_the_image_load_in_it(
    bots: Bots, project_of: Callable[..., Project]
) -> None:
    """A real package from PyPI with compiled parts, and its real dependencies."""
    main = "import numpy\ndef main(): print(int(numpy.arange(7).sum()))"
    project = project_of(main=main, requirements="numpy==1.26.4")
    bots.give(project, {})
    assert bots.run() == 0
    assert bots.gateway.lines("stdout") == ["21"]


@pytest.mark.parametrize("version", ["0.3.1", "0.4.0"])
def test_a_vendored_public_sdk_is_the_one_that_the_bot_gets(
    bots: Bots, project_of: Callable[..., Project], version: str
) -> None:
    main = (
        "import the0\n"
        "def main(bot_id, config):\n"
        "    runs = the0.state.get('runs', 0) + 1\n"
        "    the0.state.set('runs', runs)\n"
        "    the0.metric('runs', {'value': runs})\n"
        "    the0.success(the0.__file__, {'runs': runs})\n"
    )
    project = project_of(kind="scheduled", main=main, requirements=f"the0-sdk=={version}")
    for runs in (1, 2):
        bots.give(project, {})
        assert bots.run() == 0
        result = json.loads(bots.gateway.results[-1])
        assert result["message"] == "/bot/vendor/the0/__init__.py"
        assert result["data"] == {"runs": runs}
    assert json.loads(bots.gateway.lines("stdout")[-1])["_metric"] == "runs"
