"""Python bots in the real image: built by the real engine, run by the agent in it, as the
containers of the platform are (user, read-only root, no network)."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container
from the0_runtime_python import PythonRuntime

from tests.support.agent import launch_document, wait_until
from tests.support.fake_gateway import LAUNCH, TOKEN, FakeGateway
from the0.builtin.docker import DockerExecutor, DockerSettings
from the0.core.images import ensure_images
from the0.plugin.interfaces import PluginArgs
from the0.plugin.manager import PluginManager
from the0.project import Project, load_project, pack
from the0.testing.runtime import RecordedProgress

WRITABLE = ("/bot", "/state", "/query", "/tmp", "/var/the0")
EXAMPLES = Path(__file__).parents[2] / "examples/bots"


@pytest.fixture(scope="session")
def image(docker_engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("executor")
    args = PluginArgs("images", "", folder, {DockerSettings: DockerSettings()})
    executor = DockerExecutor(args)
    try:
        (tag,) = ensure_images(executor, [PythonRuntime(args)], RecordedProgress())
    finally:
        executor.close()
    return tag


class Bots:
    """Containers of one test, each fed by the gateway."""

    def __init__(self, engine: docker.DockerClient, image: str, folder: Path) -> None:
        self.engine = engine
        self.image = image
        self.folder = folder
        self.started: list[Container] = []
        # A socket's path is short; the test's own folder is not.
        self.gateway = FakeGateway(folder / "gateway.sock", launch_document())
        self.gateway.start()

    def give(self, project: Project, config: Mapping[str, Any], **document: Any) -> None:
        """What the next container runs."""
        entrypoints = dict(project.config.entrypoints)
        plan = project.runtime.processes(entrypoints)
        packed = pack(project, self.folder, RecordedProgress())
        self.gateway.code = packed.path.read_bytes()
        self.gateway.document = launch_document(
            kind=project.config.type,
            config=json.dumps(config),
            entrypoints=entrypoints,
            commands={"bot": list(plan.bot), "query": list(plan.query or ())},
            env=dict(plan.env),
            query_port=9476,
            **document,
        )

    def start(self) -> Container:
        container = self.engine.containers.run(
            self.image,
            ["execute"],
            detach=True,
            user="1000:1000",
            read_only=True,
            network_mode="none",
            cap_drop=["ALL"],
            environment={"THE0_LAUNCH": LAUNCH, "THE0_TOKEN": TOKEN},
            volumes={str(self.folder): {"bind": "/run/the0", "mode": "ro"}},
            tmpfs=dict.fromkeys(WRITABLE, "exec,uid=1000,gid=1000"),
            labels={"the0.test": "python-runtime"},
        )
        self.started.append(container)
        return container

    def close(self) -> None:
        for container in self.started:
            print(container.logs(tail=20).decode(errors="replace"))
            print(self.gateway.statuses[-1:])
            container.remove(force=True, v=True)
        self.gateway.stop()


@pytest.fixture
def bots(docker_engine: docker.DockerClient, image: str, tmp_path: Path) -> Iterator[Bots]:
    bots = Bots(docker_engine, image, tmp_path)
    tmp_path.chmod(0o755)
    yield bots
    bots.close()


@pytest.fixture
def project_of(tmp_path: Path) -> Callable[..., Project]:
    """Makes a project of some files, or takes an example by its name."""

    def make(name: str = "", kind: str = "realtime", **files: str) -> Project:
        runtimes = PluginManager.load().runtimes
        if name:
            return load_project(EXAMPLES / name, runtimes)
        folder = tmp_path / "project"
        folder.mkdir()
        config = f"name: b\nversion: 1.0.0\ntype: {kind}\nentrypoints: {{bot: main.py}}\n"
        (folder / "bot-config.yaml").write_text(config + "schema: {bot: s.json}\n")
        (folder / "s.json").write_text("{}")
        for stem, text in files.items():
            (folder / f"{stem}.py").write_text(text)
        return load_project(folder, runtimes)

    return make


def code_of(container: Container) -> int:
    return int(container.wait(timeout=60)["StatusCode"])


def said(gateway: FakeGateway) -> list[str]:
    """The messages of the bot's structured log lines."""
    lines = [json.loads(line) for line in gateway.lines() if line.startswith("{")]
    return [line.get("message", "") for line in lines]


def test_the_realtime_example_runs_and_says_goodbye(
    bots: Bots, project_of: Callable[..., Project]
) -> None:
    project = project_of("price-alert")
    instance = json.loads((EXAMPLES / "price-alert/instance.json").read_text())
    bots.give(project, {**instance, "interval_sec": 0.05})
    container = bots.start()
    wait_until(lambda: said(bots.gateway).count("tick") > 3, "a fourth tick")
    answer = container.exec_run(
        [
            "python3",
            "-c",
            "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9476/price').read())",
        ]
    )
    assert b'"symbol": "BTC/USD"' in answer.output
    container.kill(signal.SIGTERM)
    assert code_of(container) == 0
    assert said(bots.gateway)[-1] == "stopping"
    assert bots.gateway.state is not None


def test_the_scheduled_example_ends_with_its_result_and_goes_on_next_time(
    bots: Bots, project_of: Callable[..., Project]
) -> None:
    project = project_of("daily-report")
    instance = json.loads((EXAMPLES / "daily-report/instance.json").read_text())
    for reports in (1, 2):
        bots.give(project, instance)
        assert code_of(bots.start()) == 0
        result = json.loads(bots.gateway.results[-1])
        assert (result["status"], result["data"]["reports"]) == ("success", reports)


def test_a_query_is_answered_from_the_stored_state(
    bots: Bots, project_of: Callable[..., Project]
) -> None:
    project = project_of("daily-report")
    instance = json.loads((EXAMPLES / "daily-report/instance.json").read_text())
    bots.give(project, instance)
    assert code_of(bots.start()) == 0
    query = {"path": "/history", "params": {"limit": 5}}
    bots.give(project, instance, query=query)
    bots.gateway.document["kind"] = "query"
    assert code_of(bots.start()) == 0
    answer = json.loads(bots.gateway.results[-1])
    assert answer["status"] == "ok"
    assert len(answer["data"]) == 1


def test_an_exception_is_code_1_with_its_traceback_in_the_log(
    bots: Bots, project_of: Callable[..., Project]
) -> None:
    main = "def main(bot_id, config): raise RuntimeError('no funds')"
    project = project_of(kind="scheduled", main=main)
    bots.give(project, {})
    assert code_of(bots.start()) == 1
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
    assert code_of(bots.start()) == 0
    (line,) = bots.gateway.lines("stdout")
    assert line.startswith("(3, 11) /opt/the0/sdk/the0/__init__.py /opt/the0/sdk/the0/sdk/")


def test_extensions_vendored_for_the_image_load_in_it(
    bots: Bots, project_of: Callable[..., Project]
) -> None:
    """A real package from PyPI with compiled parts, and its real dependencies."""
    project = project_of(main="import numpy\ndef main(): print(int(numpy.arange(7).sum()))")
    (project.folder / "requirements.txt").write_text("numpy==1.26.4\n")
    bots.give(project, {})
    assert code_of(bots.start()) == 0
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
    project = project_of(kind="scheduled", main=main)
    (project.folder / "requirements.txt").write_text(f"the0-sdk=={version}\n")
    for runs in (1, 2):
        bots.give(project, {})
        assert code_of(bots.start()) == 0
        result = json.loads(bots.gateway.results[-1])
        assert result["message"] == "/bot/vendor/the0/__init__.py"
        assert result["data"] == {"runs": runs}
    assert json.loads(bots.gateway.lines("stdout")[-1])["_metric"] == "runs"
