"""Bots in the real images: built by the real engine, run by the agent in them, as the containers of
the platform are (user, read-only root, no network), fed by a gateway of the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container

from tests.support.agent import launch_document
from tests.support.fake_gateway import LAUNCH, TOKEN, FakeGateway
from tests.support.locks import one_at_a_time
from the0.builtin.docker import DockerExecutor, DockerSettings
from the0.core.images import ensure_images
from the0.plugin.interfaces import PluginArgs, Runtime
from the0.plugin.manager import PluginManager
from the0.project import Project, load_project, pack
from the0.testing.runtime import RecordedProgress

EXAMPLES = Path(__file__).parents[2] / "examples/bots"
LABEL = "the0.test"
WRITABLE = ("/bot", "/state", "/query", "/tmp", "/var/the0")
ASK = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())"


def built_image(runtime: type[Runtime], folder: Path) -> str:
    """The tag of a runtime's image, built unless it is there."""
    args = PluginArgs("images", "", folder, {DockerSettings: DockerSettings()})
    executor = DockerExecutor(args)
    try:
        # Of test processes side by side one builds, the others find it there.
        with one_at_a_time("runtime-image"):
            (tag,) = ensure_images(executor, [runtime(args)], RecordedProgress())
    finally:
        executor.close()
    return tag


class Bots:
    """Containers of one test; state that one stores is what the next one restores."""

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
            **{
                "kind": project.config.type,
                "config": json.dumps(config),
                "entrypoints": entrypoints,
                "commands": {"bot": list(plan.bot), "query": list(plan.query or ())},
                "executables": list(plan.executables),
                "env": dict(plan.env),
                "query_port": 9476,
                **document,
            }
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
            labels={LABEL: "bots"},
        )
        self.started.append(container)
        return container

    def run(self) -> int:
        """Run what was given to its end; the container's exit code."""
        return code_of(self.start())

    def ask(self, project: Project, config: Mapping[str, Any], path: str, **params: Any) -> Any:
        """The answer of a query that runs in a container of its own."""
        self.give(project, config, kind="query", query={"path": path, "params": params})
        self.run()
        return json.loads(self.gateway.results[-1])

    def said(self) -> list[str]:
        """The messages of the bot's structured log lines."""
        lines = [json.loads(line) for line in self.gateway.lines() if line.startswith("{")]
        return [line.get("message", "") for line in lines]

    def close(self) -> None:
        for container in self.started:
            print(container.logs(tail=20).decode(errors="replace"))
            print(self.gateway.statuses[-1:])
            container.remove(force=True, v=True)
        self.gateway.stop()


InImage = Callable[[str], Bots]
"""Makes containers of a runtime by its name."""


@contextmanager
def bots_in(engine: docker.DockerClient, image: str, folder: Path) -> Iterator[Bots]:
    """Containers of `image`, removed at the end; `folder` is the test's own."""
    folder.chmod(0o755)
    bots = Bots(engine, image, folder)
    try:
        yield bots
    finally:
        bots.close()


def code_of(container: Container) -> int:
    return int(container.wait(timeout=60)["StatusCode"])


def ask_served(container: Container, target: str) -> Any:
    """The answer of the query server that runs beside the bot."""
    url = f"http://127.0.0.1:9476{target}"
    seen = container.exec_run(["python3", "-c", ASK, url], demux=True)
    out, err = seen.output
    assert seen.exit_code == 0, (err or b"").decode(errors="replace")
    return json.loads(out)


def example(name: str) -> tuple[Project, dict[str, Any]]:
    """One of the example bots, and the configuration of its instance."""
    folder = EXAMPLES / name
    instance: dict[str, Any] = json.loads((folder / "instance.json").read_text())
    return load_project(folder, PluginManager.load().runtimes), instance


def project_of(
    folder: Path, runtime: str, kind: str, entrypoints: Mapping[str, str], **files: str | bytes
) -> Project:
    """A project of these files in the new folder `folder`; `__` in a name stands for a dot."""
    folder.mkdir(parents=True)
    config = {"name": "b", "version": "1.0.0", "type": kind, "runtime": runtime}
    config |= {"entrypoints": dict(entrypoints), "schema": {"bot": "s.json"}}
    everything = {"bot-config.yaml": json.dumps(config), "s.json": "{}", **files}
    for name, content in everything.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name.replace("__", ".")).write_bytes(data)
    return load_project(folder, PluginManager.load().runtimes)
