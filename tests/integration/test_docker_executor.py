"""The Docker executor against a real engine: the conformance suite, and what is Docker's own."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from the0.builtin.docker import DockerExecutor, DockerSettings
from the0.builtin.docker_client import Clients
from the0.builtin.docker_names import container_name
from the0.errors import Conflict, InvalidInput, NotFound, Unavailable
from the0.models import ContainerState
from the0.plugin.interfaces import ImageSpec, PluginArgs
from the0.testing.containers import (
    Silent,
    clean,
    make_spec,
    output,
    run,
    until_ended,
    until_logged,
)
from the0.testing.executor import ExecutorConformance
from the0.testing.isolation import IsolationConformance

IMAGE = f"the0/test-executor:{os.getpid()}"
DIGEST = "digest of the test image"


def make(instance: str, installation: str = "mine", **settings: object) -> DockerExecutor:
    sections = {DockerSettings: DockerSettings(**settings)}
    owner = f"{installation}-{instance}"
    return DockerExecutor(PluginArgs(instance, owner, Path("/nowhere"), sections))


@pytest.fixture(scope="session")
def test_image(docker_engine: docker.DockerClient) -> Iterator[str]:
    """An image built by the executor itself; its base stays for the next session."""
    builder = make("images")
    builder.build_image(IMAGE, DIGEST, ImageSpec(packages=()), Silent())
    yield IMAGE
    builder.close()
    docker_engine.images.remove(IMAGE, force=True)


@pytest.fixture
def executor(instance: str) -> Iterator[DockerExecutor]:
    made = make(instance)
    yield made
    clean(made)
    made.dismantle()
    made.close()


class TestConformance(IsolationConformance, ExecutorConformance):
    @pytest.fixture
    def executor(self, instance: str) -> Iterator[DockerExecutor]:
        self.instance = instance
        made = make(instance)
        yield made
        made.dismantle()
        made.close()

    @pytest.fixture
    def image(self, test_image: str) -> str:
        return test_image

    def make_other(self) -> DockerExecutor:
        return make(self.instance, "another")

    def make_unreachable(self) -> DockerExecutor:
        return make("nobody", host="unix:///nowhere/docker.sock")


def test_a_container_of_the_predecessor_is_foreign(
    executor: DockerExecutor, docker_engine: docker.DockerClient, test_image: str, instance: str
) -> None:
    name = f"old-{instance}"
    labels = {"runtime.managed": "true", "runtime.id": "b"}
    container = docker_engine.containers.create(test_image, name=name, labels=labels)
    try:
        assert name in executor.foreign()
        assert executor.list() == []
        with pytest.raises(NotFound):
            executor.inspect(container.id)
    finally:
        container.remove()


def test_a_paused_container_goes_on(
    executor: DockerExecutor, docker_engine: docker.DockerClient, test_image: str, tmp_path: Path
) -> None:
    executor.prepare()
    ref = run(executor, make_spec("paused", test_image, tmp_path, "sleep", "1000"))
    docker_engine.api.pause(ref)
    assert executor.list()[0].state is ContainerState.PAUSED
    assert executor.inspect(ref).state is ContainerState.PAUSED
    with pytest.raises(Conflict):
        executor.remove(ref)
    executor.unpause(ref)
    executor.unpause(ref)
    assert executor.inspect(ref).state is ContainerState.RUNNING
    docker_engine.api.pause(ref)
    executor.stop(ref, 1)
    assert executor.inspect(ref).state is ContainerState.EXITED


def test_a_container_over_its_memory_is_told_from_others(
    executor: DockerExecutor, test_image: str, tmp_path: Path
) -> None:
    executor.prepare()
    hungry = ("python3", "-c", "bytearray(300 << 20)")
    ended = until_ended(executor, run(executor, make_spec("b", test_image, tmp_path, *hungry)))
    assert (ended.exit_code, ended.oom_killed) == (137, True)


def test_peak_memory_is_what_the_container_used(
    executor: DockerExecutor, test_image: str, tmp_path: Path
) -> None:
    executor.prepare()
    script = "import time; bytearray(40 << 20); print('used', flush=True); time.sleep(1000)"
    ref = run(executor, make_spec("b", test_image, tmp_path, "python3", "-c", script))
    until_logged(executor, ref, "used")
    peak = executor.peak_memory(ref)
    assert peak is not None
    assert 40 << 20 < peak < 60 << 20
    executor.kill(ref)
    until_ended(executor, ref)
    assert executor.peak_memory(ref) is None


def test_containers_are_spread_over_networks(
    instance: str, docker_engine: docker.DockerClient, test_image: str, tmp_path: Path
) -> None:
    executor = make(instance, bots_per_network=2)
    try:
        executor.prepare()
        for number in range(5):
            executor.create(make_spec(f"bot{number}", test_image, tmp_path))
        again = make(instance, bots_per_network=2)
        again.prepare()
        again.list()
        again.create(make_spec("bot5", test_image, tmp_path))
        again.close()
        names = sorted(network.name for network in docker_engine.networks.list(names=[instance]))
        assert names == [f"the0-{instance}-{number}" for number in range(3)]
    finally:
        clean(executor)
        executor.dismantle()
        executor.close()


def test_a_network_in_use_is_not_removed(
    executor: DockerExecutor, test_image: str, tmp_path: Path
) -> None:
    executor.prepare()
    run(executor, make_spec("b", test_image, tmp_path, "sleep", "1000"))
    with pytest.raises(Conflict):
        executor.dismantle()


def test_a_network_that_is_not_as_ours_is_refused(
    executor: DockerExecutor, docker_engine: docker.DockerClient, instance: str
) -> None:
    labels = {"the0.instance": instance}
    network = docker_engine.networks.create(f"the0-{instance}-0", labels=labels)
    try:
        with pytest.raises(Conflict, match="docker network rm"):
            executor.prepare()
    finally:
        network.remove()


def test_a_restart_of_the_executor_finds_everything(
    executor: DockerExecutor, instance: str, test_image: str, tmp_path: Path
) -> None:
    executor.prepare()
    ref = run(executor, make_spec("kept", test_image, tmp_path, "sleep", "1000"))
    again = make(instance)
    assert again.prepare() == []
    (found,) = again.list()
    assert (found.ref, found.name) == (ref, container_name(instance, "kept"))
    again.close()


def test_images_are_ours_by_label(test_image: str, docker_engine: docker.DockerClient) -> None:
    executor = make("images")
    assert executor.has_image(test_image, DIGEST)
    assert not executor.has_image(test_image, "other")
    assert executor.image_identity(test_image) == docker_engine.images.get(test_image).id
    executor.close()


def test_an_image_without_the_agent_is_refused_by_name(
    test_image: str, docker_engine: docker.DockerClient
) -> None:
    name = docker_engine.images.list(name="the0/base")[0].tags[0]
    executor = make("images", runtime_image=name)
    with pytest.raises(InvalidInput, match=name):
        executor.image_identity("the0/any:1")
    with pytest.raises(InvalidInput, match=name):
        executor.has_image("the0/any:1", "digest")
    with pytest.raises(InvalidInput, match="RUNTIME_IMAGE"):
        executor.build_image("the0/any:1", "digest", ImageSpec(packages=()), Silent())
    executor.close()


def test_one_image_may_serve_all_runtimes(instance: str, test_image: str, tmp_path: Path) -> None:
    executor = make(instance, runtime_image=test_image)
    executor.prepare()
    assert executor.has_image("the0/any:1", "digest")
    assert output(executor, make_spec("b", "the0/any:1", tmp_path, "echo", "hi")) == ["hi"]
    clean(executor)
    executor.dismantle()
    executor.close()


def test_a_build_that_fails_says_why_and_leaves_nothing(
    docker_engine: docker.DockerClient, test_image: str, tmp_path: Path
) -> None:
    before = {image.id for image in docker_engine.images.list(all=True)}
    (tmp_path / "broken.py").write_text("def broken(:\n")
    spec = ImageSpec(
        packages=(), files={"/opt/broken.py": tmp_path / "broken.py"}, compile_python=("/opt",)
    )
    executor = make("images")
    with pytest.raises(Exception, match=r"broken\.py"):
        executor.build_image("the0/test-broken:1", "digest", spec, Silent())
    executor.close()
    assert not docker_engine.containers.list(all=True, filters={"ancestor": "the0/test-broken:1"})
    left = {image.id for image in docker_engine.images.list()} - before
    assert not left


def test_files_links_and_bytecode_are_in_the_image(
    instance: str, docker_engine: docker.DockerClient, test_image: str, tmp_path: Path
) -> None:
    tag = f"the0/test-files-{secrets.token_hex(4)}:1"
    package = tmp_path / "package"
    (package / "__pycache__").mkdir(parents=True)
    (package / "__pycache__" / "stale.pyc").write_bytes(b"stale")
    (package / "__init__.py").write_text("VALUE = 42\n")
    (tmp_path / "tool").write_text("#!/bin/sh\necho tool\n")
    (tmp_path / "tool").chmod(0o755)
    spec = ImageSpec(
        packages=(),
        files={"/opt/the0/lib/package": package, "/opt/the0/tool": tmp_path / "tool"},
        compile_python=("/opt/the0/lib",),
        links={"/usr/local/bin/tool": "/opt/the0/tool"},
    )
    executor = make(instance)
    executor.build_image(tag, "digest", spec, Silent())
    executor.prepare()
    script = (
        "tool; cd /opt/the0/lib; ls package/__pycache__;"
        "python3 -c 'import package; print(package.VALUE)'; ls -ld /bot /state | cut -c1-10;"
        "test -x /app/runtime && echo agent"
    )
    found = output(executor, make_spec("b", tag, tmp_path, "sh", "-c", script))
    clean(executor)
    executor.dismantle()
    executor.close()
    docker_engine.images.remove(tag)
    folder = "drwxr-xr-x"
    assert found == ["tool", "__init__.cpython-311.pyc", "42", folder, folder, "agent"]


def test_a_hung_engine_is_unavailable_in_time(tmp_path: Path) -> None:
    """A socket that takes connections and never answers."""
    path = tmp_path / "hung.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(Unavailable, match="in time"):
            Clients(f"unix://{path}").get(1.0)


def test_the_engine_itself_ends_no_container_that_a_kill_found(
    executor: DockerExecutor, test_image: str, tmp_path: Path
) -> None:
    executor.prepare()
    ref = run(executor, make_spec("killed", test_image, tmp_path, "sleep", "1000"))
    pid = subprocess.run(
        ["docker", "inspect", "-f", "{{.State.Pid}}", ref],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    subprocess.run(["kill", "-9", pid], check=True)
    ended = until_ended(executor, ref)
    assert (ended.exit_code, ended.oom_killed) == (137, False)
