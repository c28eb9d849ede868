"""The Docker executor while its engine fails: every call says "unknown", none says "gone".

The real engine stands behind a proxy that hangs, resets, cuts and lies on demand.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import docker
import pytest

from the0.builtin.docker import DockerExecutor, DockerSettings
from the0.errors import Unavailable
from the0.models import Container
from the0.plugin.interfaces import ImageSpec, PluginArgs
from the0.settings import ExecutorSettings
from the0.testing.containers import Silent, clean, listening, make_spec, run, wait_for
from the0.testing.faults import FaultProxy, fault_proxy

IMAGE = "the0/test-faults:latest"
SERVER_ERROR = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
    b'Content-Length: 42\r\n\r\n{"message":"No such container: try again"}'
)
NOT_FOUND = (
    b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n"
    b'Content-Length: 30\r\n\r\n{"message":"page not found  "}'
)


class Relay(BaseRequestHandler):
    """Forwards one TCP connection to the engine's socket."""

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect("/var/run/docker.sock")
            back = threading.Thread(target=pump, args=(engine, self.request))
            back.start()
            pump(self.request, engine)
            back.join()


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(docker_engine: docker.DockerClient) -> Iterator[FaultProxy]:
    with ThreadingTCPServer(("127.0.0.1", 0), Relay) as relay:
        thread = threading.Thread(target=relay.serve_forever, args=(0.05,))
        thread.start()
        with fault_proxy(*relay.server_address) as made:
            yield made
        relay.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def image(docker_engine: docker.DockerClient) -> Iterator[str]:
    with closing(make("faults")) as builder:
        builder.build_image(IMAGE, "digest", ImageSpec(packages=()), Silent())
    yield IMAGE
    docker_engine.images.remove(IMAGE, force=True)


def make(instance: str, host: str = "", timeout_sec: float = 60.0) -> DockerExecutor:
    sections = {
        DockerSettings: DockerSettings(host=host),
        ExecutorSettings: ExecutorSettings(timeout_sec=timeout_sec),
    }
    return DockerExecutor(PluginArgs(instance, instance, Path("/nowhere"), sections))


@pytest.fixture
def behind(instance: str, proxy: FaultProxy) -> Iterator[DockerExecutor]:
    """The executor under test, with the proxy between it and the engine."""
    with closing(make(instance, f"tcp://{proxy.endpoint}", timeout_sec=1)) as executor:
        yield executor


@pytest.fixture
def running(instance: str, image: str, tmp_path: Path) -> Iterator[Container]:
    """A running container of the same installation, made past the proxy."""
    with closing(make(instance)) as executor:
        executor.prepare()
        yield executor.inspect(run(executor, make_spec("bot", image, tmp_path, "sleep", "1000")))
        clean(executor)
        executor.dismantle()


def calls(executor: DockerExecutor, ref: str) -> list[Callable[[], object]]:
    return [
        executor.info,
        executor.foreign,
        executor.list,
        executor.bot_volumes,
        lambda: executor.inspect(ref),
        lambda: executor.start(ref),
        lambda: executor.stop(ref, 1),
        lambda: executor.kill(ref),
        lambda: executor.unpause(ref),
        lambda: executor.remove(ref),
        lambda: executor.log_tail(ref, 5),
        lambda: executor.address(ref, 9476),
        lambda: executor.has_image(IMAGE, "digest"),
        lambda: executor.image_identity(IMAGE),
        lambda: executor.remove_bot_volumes("nobody"),
    ]


@pytest.mark.parametrize(
    "fault",
    [
        lambda proxy: proxy.hang(),
        lambda proxy: proxy.reset(),
        lambda proxy: proxy.cut_answers(after=150),
        lambda proxy: proxy.answer(SERVER_ERROR),
        lambda proxy: proxy.answer(NOT_FOUND),
    ],
    ids=["hangs", "resets", "cuts", "500", "404 of something else"],
)
def test_a_failing_engine_is_unknown_and_nothing_else(
    fault: Callable[[FaultProxy], None],
    behind: DockerExecutor,
    running: Container,
    proxy: FaultProxy,
) -> None:
    assert [found.ref for found in behind.list()] == [running.ref]
    fault(proxy)
    for call in calls(behind, running.ref):
        with pytest.raises(Unavailable):
            call()
    proxy.heal()
    wait_for(lambda: listed(behind) == [running])


def listed(executor: DockerExecutor) -> list[Container]:
    try:
        return [executor.inspect(found.ref) for found in executor.list()]
    except Unavailable:
        return []


def test_a_stream_of_events_that_breaks_off_is_told(
    behind: DockerExecutor,
    running: Container,
    proxy: FaultProxy,
    docker_engine: docker.DockerClient,
) -> None:
    heard: list[object] = []

    def listen() -> None:
        try:
            heard.extend(behind.events(threading.Event()))
        except Unavailable as error:
            heard.append(error)

    def restart() -> bool:
        docker_engine.api.restart(running.ref, timeout=0)
        return proxy.sent_to_clients > 2000  # headers are less, each event is hundreds of bytes

    thread = threading.Thread(target=listen)
    thread.start()
    wait_for(restart)
    proxy.reset()
    restart()  # the reset strikes at the next byte
    thread.join(30)
    assert not thread.is_alive()
    assert isinstance(heard[-1], Unavailable)


def test_a_hung_stream_of_events_ends_when_told_to(
    behind: DockerExecutor, running: Container, proxy: FaultProxy
) -> None:
    with listening(behind):
        proxy.hang()


def test_an_engine_elsewhere_has_no_firewall_of_ours(instance: str, proxy: FaultProxy) -> None:
    with closing(make(instance, f"tcp://{proxy.endpoint}")) as executor:
        found = [(one.type, one.reason) for one in executor.prepare()]
        executor.dismantle()
    assert found == [("EgressOpen", "RemoteEngine")]
