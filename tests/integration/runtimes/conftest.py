"""The images of every language, and containers of a test's own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import docker
import pytest

from tests.support.bot_containers import Bots, InImage, bots_in, built_image
from the0.plugin.manager import PluginManager

PROGRAM = Path(__file__).with_name("bot.c")
LINKED = {"static": ("-static",), "dynamic": ()}


@pytest.fixture(scope="session")
def images(
    docker_engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """The tag of a runtime's image by the runtime's name."""
    runtimes, tags = PluginManager.load().runtimes, dict[str, str]()

    def tag(name: str) -> str:
        if name not in tags:
            tags[name] = built_image(runtimes.get(name), tmp_path_factory.mktemp("executor"))
        return tags[name]

    return tag


@pytest.fixture
def bots_of(
    docker_engine: docker.DockerClient, images: Callable[[str], str], tmp_path: Path
) -> Iterator[InImage]:
    """Containers of a runtime by its name; each call has a folder and a gateway of its own."""
    with ExitStack() as stack:

        def make(runtime: str) -> Bots:
            folder = tmp_path / f"gateway-{runtime}"
            folder.mkdir()
            return stack.enter_context(bots_in(docker_engine, images(runtime), folder))

        yield make


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The program in C by how it is linked."""
    assert shutil.which("gcc"), "a C compiler is needed: apt-get install gcc libc6-dev"
    folder = tmp_path_factory.mktemp("programs")
    for name, options in LINKED.items():
        command = ["gcc", "-O1", "-Wall", "-Wextra", "-Werror", *options]
        subprocess.run([*command, "-o", str(folder / name), str(PROGRAM)], check=True)
    return {name: (folder / name).read_bytes() for name in LINKED}
