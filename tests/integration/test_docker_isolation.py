"""What a bot's container can reach, tried from inside one against real listeners.

Each listener lives in a network namespace or on an address of its own; a check that a door is
shut is worth something only because the same door is open to a container that is not ours.
"""

from __future__ import annotations

import ipaddress
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import docker
import pytest

from the0.builtin.docker import DockerExecutor, DockerSettings
from the0.builtin.docker_names import bridge_name
from the0.builtin.docker_rules import TABLE, Chains, ours
from the0.plugin.interfaces import ImageSpec, PluginArgs
from the0.settings import EgressSettings, MongoSettings
from the0.testing.containers import Silent, clean, make_spec, output, run, until_logged, wait_for

pytestmark = pytest.mark.usefixtures("test_image")

IMAGE = "the0/test-isolation:latest"
TRY = """
import socket, sys
for door in sys.argv[1:]:
    host, port = door.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=1.5).close()
        print("open", door, flush=True)
    except OSError as error:
        print("shut", door, flush=True)
"""
KNOCK = """
import signal, socket, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("knocks", knocks)))
door, knocks, open_ones = (sys.argv[1], int(sys.argv[2])), 0, []
print("knocking")
while True:
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex(door)
    open_ones.append((time.monotonic(), one))
    knocks += 1
    time.sleep(0.002)
    while open_ones and open_ones[0][0] < time.monotonic() - 0.2:
        old = open_ones.pop(0)[1]
        if old.connect_ex(door) in (0, 106):
            print("open")
        old.close()
"""
NETWORKS = 20
SERVE = "python3 -m http.server -d /state 9476 & python3 -u -c 'print(\"ready\")'; wait"

# Addresses of documentation stand for public ones: nothing of this machine routes them.
PUBLIC = "203.0.113.10"
SECRET = "203.0.113.20"
PRIVATE = "10.213.77.10"
METADATA = "169.254.169.254"
OURS = "10.213.78.1"
PORT = 8099


@dataclass(frozen=True)
class World:
    """Everything that listens: `host` is the machine's own address that a container sees first,
    `other` another address of this machine, `port` where all listeners are."""

    host: str
    other: str
    port: int

    def door(self, address: str) -> str:
        return f"{address}:{self.port}"


@pytest.fixture(scope="module")
def test_image(docker_engine: docker.DockerClient) -> Iterator[str]:
    builder = make("isolation")
    builder.build_image(IMAGE, "digest", ImageSpec(packages=()), Silent())
    yield IMAGE
    builder.close()
    docker_engine.images.remove(IMAGE, force=True)


def make(instance: str, *sections: object) -> DockerExecutor:
    settings = {type(section): section for section in (DockerSettings(), *sections)}
    return DockerExecutor(PluginArgs(instance, instance, Path("/nowhere"), settings))


@pytest.fixture
def executor(instance: str) -> Iterator[DockerExecutor]:
    with installed(instance) as made:
        yield made


@contextmanager
def installed(instance: str, *sections: object) -> Iterator[DockerExecutor]:
    made = make(instance, *sections)
    assert made.prepare() == []
    try:
        yield made
    finally:
        clean(made)
        made.dismantle()
        made.close()


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


def sh(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


@contextmanager
def addresses(found: Sequence[str]) -> Iterator[None]:
    """A machine beyond this one, as a network namespace that has all these addresses."""
    space, ours_end, theirs = "the0-test", "the0-test-a", "the0-test-b"
    with ExitStack() as undo:
        sh("ip", "netns", "add", space)
        undo.callback(sh, "ip", "netns", "del", space)
        sh("ip", "link", "add", ours_end, "type", "veth", "peer", "name", theirs)
        undo.callback(sh, "ip", "link", "del", ours_end)
        sh("ip", "link", "set", theirs, "netns", space)
        sh("ip", "addr", "add", f"{OURS}/30", "dev", ours_end)
        sh("ip", "link", "set", ours_end, "up")
        inside = ("ip", "netns", "exec", space)
        sh(*inside, "ip", "addr", "add", "10.213.78.2/30", "dev", theirs)
        sh(*inside, "ip", "link", "set", theirs, "up")
        sh(*inside, "ip", "link", "set", "lo", "up")
        sh(*inside, "ip", "route", "add", "default", "via", OURS)
        for address in found:
            sh(*inside, "ip", "addr", "add", f"{address}/32", "dev", "lo")
            sh("ip", "route", "add", f"{address}/32", "via", "10.213.78.2")
        serve = subprocess.Popen(
            [*inside, "python3", "-m", "http.server", str(PORT), "-d", "/nonexistent"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        undo.callback(serve.wait)
        undo.callback(serve.kill)
        wait_for(lambda: answers(found[0], PORT))
        yield


def answers(host: str, port: int) -> bool:
    connection = HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status > 0
    except OSError:
        return False
    finally:
        connection.close()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with ExitStack() as undo:
        undo.enter_context(addresses([PUBLIC, SECRET, PRIVATE, METADATA]))
        gateway = address_of("docker0")
        for address in (gateway, OURS):
            undo.enter_context(listening_at(address))
        yield World(host=gateway, other=OURS, port=PORT)


@contextmanager
def listening_at(address: str) -> Iterator[None]:
    server = ThreadingHTTPServer((address, PORT), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def address_of(interface: str) -> str:
    line = sh("ip", "-4", "-o", "addr", "show", interface)
    return str(ipaddress.ip_interface(line.split()[3]).ip)


def tried(executor: DockerExecutor, folder: Path, doors: Sequence[str]) -> list[str]:
    """The doors that a bot of this installation finds open."""
    spec = make_spec("prober", IMAGE, folder, "python3", "-c", TRY, *doors)
    lines = output(executor, spec)
    assert len(lines) == len(doors), lines
    return [line.split()[1] for line in lines if line.startswith("open")]


def test_only_what_is_public_is_open(
    executor: DockerExecutor, instance: str, world: World, tmp_path: Path
) -> None:
    gateway = address_of(bridge_name(instance, 0))
    shut = [gateway, world.host, world.other, PRIVATE, METADATA, "127.0.0.1"]
    doors = [world.door(address) for address in [*shut, PUBLIC]]
    with listening_at(gateway):
        assert tried(executor, tmp_path, doors) == [world.door(PUBLIC)]


def test_without_our_rules_these_doors_are_open(
    docker_engine: docker.DockerClient, world: World
) -> None:
    doors = [world.door(at) for at in (world.host, world.other, PRIVATE, METADATA, PUBLIC)]
    said = docker_engine.containers.run(
        IMAGE, ["-c", TRY, *doors], entrypoint="python3", remove=True
    )
    assert [line.split()[1] for line in said.decode().splitlines()] == doors
    assert said.count(b"open") == len(doors)


def test_bots_do_not_reach_each_other_but_the_host_reaches_them(
    executor: DockerExecutor, instance: str, tmp_path: Path
) -> None:
    serving = run(executor, make_spec("served", IMAGE, tmp_path, "sh", "-c", SERVE))
    until_logged(executor, serving, "ready")
    host, port = executor.address(serving, 9476)
    wait_for(lambda: answers(host, port))
    assert tried(executor, tmp_path, [f"{host}:{port}"]) == []
    assert answers(host, port)


def test_bots_of_two_networks_do_not_reach_each_other(instance: str, tmp_path: Path) -> None:
    with installed(instance, DockerSettings(bots_per_network=1)) as executor:
        serving = run(executor, make_spec("served", IMAGE, tmp_path, "sh", "-c", SERVE))
        host, port = executor.address(serving, 9476)
        wait_for(lambda: answers(host, port))
        assert tried(executor, tmp_path, [f"{host}:{port}"]) == []


def test_servers_of_the_platform_are_shut_though_public(
    instance: str, world: World, tmp_path: Path
) -> None:
    mongo = MongoSettings(uri=f"mongodb://user:pass@{SECRET}:{world.port}/?replicaSet=x")
    with installed(instance, mongo) as executor:
        doors = [world.door(PUBLIC), world.door(SECRET)]
        assert tried(executor, tmp_path, doors) == [world.door(PUBLIC)]


def test_exceptions_open_what_they_name(instance: str, world: World, tmp_path: Path) -> None:
    egress = EgressSettings(allow=(f"{PRIVATE}:{world.port}", "10.213.78.0/30"))
    with installed(instance, egress) as executor:
        doors = [world.door(at) for at in (PRIVATE, world.other, world.host, METADATA)]
        assert tried(executor, tmp_path, doors) == doors[:2]


def test_a_network_exception_does_not_open_the_platforms_servers(
    instance: str, world: World, tmp_path: Path
) -> None:
    mongo = MongoSettings(uri=f"mongodb://{PRIVATE}:{world.port}")
    broad = EgressSettings(allow=("10.213.0.0/16",))
    with installed(instance, mongo, broad) as executor:
        assert tried(executor, tmp_path, [world.door(PRIVATE)]) == []
    exact = EgressSettings(allow=(world.door(PRIVATE),))
    with installed(instance, mongo, exact) as executor:
        assert tried(executor, tmp_path, [world.door(PRIVATE)]) == [world.door(PRIVATE)]


def test_rules_that_somebody_flushed_come_back(
    executor: DockerExecutor, instance: str, world: World, tmp_path: Path
) -> None:
    chains = Chains.of(instance)
    before = ours(sh("iptables-save", "-t", TABLE), chains)
    sh("iptables", "-w", "-t", TABLE, "-F", chains.outward)
    sh("iptables", "-w", "-t", TABLE, "-D", "FORWARD", "-i", chains.bridges, "-j", chains.outward)
    assert tried(executor, tmp_path, [world.door(PRIVATE)]) == [world.door(PRIVATE)]
    assert executor.prepare() == []
    assert ours(sh("iptables-save", "-t", TABLE), chains) == before
    assert tried(executor, tmp_path, [world.door(PRIVATE)]) == []


@pytest.mark.parametrize("chain", ["INPUT", "FORWARD", "DOCKER-USER"])
def test_a_rule_of_somebody_else_that_lets_all_through_opens_nothing(
    chain: str, executor: DockerExecutor, world: World, tmp_path: Path
) -> None:
    doors = [world.door(world.host), world.door(PRIVATE)]
    foreign = (chain, "-p", "tcp", "--dport", str(world.port), "-j", "ACCEPT")
    sh("iptables", "-w", "-I", *foreign)
    try:
        assert tried(executor, tmp_path, doors) == []
    finally:
        sh("iptables", "-w", "-D", *foreign)


def test_networks_that_come_and_go_open_nothing(
    executor: DockerExecutor, world: World, docker_engine: docker.DockerClient, tmp_path: Path
) -> None:
    spec = make_spec("knocker", IMAGE, tmp_path, "python3", "-uc", KNOCK, PRIVATE, str(world.port))
    ref = run(executor, spec)
    until_logged(executor, ref, "knocking")
    for number in range(NETWORKS):
        docker_engine.networks.create(f"the0-test-comes-and-goes-{number}").remove()
    executor.stop(ref, 10)
    said = executor.log_tail(ref, 1000)
    assert int(said[-1].removeprefix("knocks ")) > 50 * NETWORKS
    assert "open" not in said


def test_preparing_in_two_processes_at_once_leaves_the_rules_whole(instance: str) -> None:
    with installed(instance) as first:
        wanted = ours(sh("iptables-save", "-t", TABLE), Chains.of(instance))
        others = [make(instance) for _ in range(4)]
        workers = [threading.Thread(target=other.prepare) for other in others]
        for worker in workers:
            worker.start()
        first.prepare()
        for worker in workers:
            worker.join()
        for other in others:
            other.close()
        assert ours(sh("iptables-save", "-t", TABLE), Chains.of(instance)) == wanted


def test_dismantling_leaves_no_rule(instance: str) -> None:
    with installed(instance):
        pass
    for tool in ("iptables-save", "ip6tables-save"):
        assert Chains.of(instance).bridges not in sh(tool)
        assert ours(sh(tool), Chains.of(instance)) == ()


def test_without_root_it_is_said(instance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = make(instance)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    first = executor.prepare()
    assert [(found.type, found.reason) for found in first] == [("EgressOpen", "FirewallNotSet")]
    assert "root" in first[0].message
    assert executor.prepare()[0].since == first[0].since
    monkeypatch.undo()
    assert executor.prepare() == []
    executor.dismantle()
    executor.close()
