"""A bot that looks for secrets and doors, through the whole platform; and where a secret of its
configuration goes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import nats
import pytest

from tests.support.den import NEIGHBOUR, Den
from tests.support.runner import eventually
from the0.events.connection import round_trip

CANARY = f"canary-{secrets.token_hex(16)}"
"""Stands for an exchange key."""

SPY = r"""
import concurrent.futures, ctypes, http.client, json, os, socket, time

def say(*words):
    print(json.dumps(words), flush=True)

def others():
    own = os.getpid()
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        if pid != own:
            yield pid

def read(path):
    if os.path.isdir(path):
        return os.listdir(path)
    with open(path, "rb") as file:
        return file.read(64)

def look_at_processes():
    libc = ctypes.CDLL(None, use_errno=True)
    for pid in others():
        for name in ("environ", "mem", "maps", "fd", "map_files", "io", "auxv", "syscall", "stack"):
            try:
                say("read", pid, name, str(read(f"/proc/{pid}/{name}")))
            except OSError as error:
                say("shut", pid, name, error.errno)
        for name in ("cwd", "root", "exe"):
            try:
                say("read", pid, name, os.readlink(f"/proc/{pid}/{name}"))
            except OSError as error:
                say("shut", pid, name, error.errno)
        for request, what in ((16, "attach"), (0x4206, "seize")):
            done = libc.ptrace(request, pid, None, None)
            say("read" if done == 0 else "shut", pid, what, ctypes.get_errno())
        buffer = ctypes.create_string_buffer(8)
        piece = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 8)
        there = (ctypes.c_size_t * 2)(0x400000, 8)
        done = libc.process_vm_readv(pid, piece, 1, there, 1, 0)
        say("read" if done > 0 else "shut", pid, "vm", ctypes.get_errno())
        try:
            os.readlink(f"/proc/{pid}/ns/mnt")
            say("read", pid, "ns", "")
        except OSError as error:
            say("shut", pid, "ns", error.errno)

def ask(token, path, method="GET"):
    connection = http.client.HTTPConnection("gateway", timeout=5)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(5)
    connection.sock.connect("/run/the0/gateway.sock")
    headers = {} if token is None else {"Authorization": token}
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    say("asked", token, method, path, answer.status, answer.read().decode())

def ask_gateway(launches):
    guesses = [None, "Bearer", "Bearer .", "Bearer x.y", "Basic " + "a" * 40]
    for launch in [*launches, "../launches/" + launches[0], "*", "", "%00", launches[0].upper()]:
        guesses += [f"Bearer {launch}.{'0' * 64}", f"Bearer {launch}.", f"Bearer {launch}"]
    for token in guesses:
        for path in ("/v1/launch", "/v1/state", "/v1/code"):
            ask(token, path)
        ask(token, "/v1/state", "PUT")

def search(canaries):
    for root in ("/run", "/var", "/bot", "/state", "/query", "/app", "/opt", "/etc", "/tmp"):
        for folder, _, names in os.walk(root):
            for name in names:
                path = os.path.join(folder, name)
                try:
                    content = open(path, "rb").read(1 << 20) if os.path.isfile(path) else b""
                except OSError:
                    continue
                for canary in canaries:
                    if canary.encode() in content:
                        say("found", path)
                        break

def try_door(door):
    try:
        socket.create_connection(door, timeout=2).close()
        return "open", *door
    except OSError:
        return "closed", *door

def try_doors(doors):
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        for found in pool.map(try_door, map(tuple, doors)):
            say(*found)

def main(bot_id, config):
    say("environ", sorted(os.environ))
    say("mounted", os.listdir("/run/the0"))
    look_at_processes()
    ask_gateway(config["launches"])
    search([config["others"][::-1]])
    try_doors(config["doors"])
    say("done")
    while True:
        time.sleep(1)
"""


QUIET = """
import time

def main(bot_id, config):
    while True:
        print("quiet here", flush=True)
        time.sleep(0.5)
"""

VICTIM = """
import time

def main(bot_id, config):
    open("/state/secret", "w").write(config["secret"])
    open("/tmp/secret", "w").write(config["secret"])
    print("the secret is", config["secret"], flush=True)
    while True:
        time.sleep(1)
"""


@pytest.fixture(scope="module")
def spied(den: Den) -> Iterator[list[list[Any]]]:
    """Everything that the spy saw, beside a neighbour with a secret of its own."""
    with ExitStack() as stack:
        doors = [*listeners(den, stack), *servers(den), ("169.254.169.254", 80)]
        with den.site.executor() as executor:
            door = executor.address(den.site.running()[NEIGHBOUR], 9476)
        with socket.create_connection(door, timeout=5):
            pass
        others = secrets.token_hex(16)
        den.release("victim", VICTIM, secret=others)
        launches = [
            path.stem for path in den.site.root.glob("launches/*.json") if "." not in path.stem
        ]
        den.release(
            "spy",
            SPY,
            api_key=CANARY,
            others=others[::-1],
            launches=launches,
            doors=[*doors, door],
        )
        eventually(lambda: ["done"] in said(den), "the spy has looked at everything")
        yield said(den)
        den.end("spy")
        den.end("victim")


def test_no_process_of_the_agent_can_be_looked_into(spied: list[list[Any]]) -> None:
    assert [one for one in spied if one[0] == "read"] == []
    agents = {one[1] for one in spied if one[0] == "shut"}
    assert agents >= {1}
    assert len(agents) >= 2  # sync is one too


def test_the_process_sees_what_the_contract_says_and_no_token(spied: list[list[Any]]) -> None:
    (names,) = [one[1] for one in spied if one[0] == "environ"]
    assert not [name for name in names if name.startswith("THE0_") and name != "THE0_QUERY_PORT"]
    assert not [name for name in names if re.search("MONGO|MINIO|NATS|TOKEN", name)]
    assert ["mounted", ["gateway.sock"]] in spied


def test_guesses_at_the_gateway_learn_nothing(spied: list[list[Any]]) -> None:
    answers = [one[1:] for one in spied if one[0] == "asked"]
    assert len(answers) > 60
    assert {status for *_, status, _ in answers} == {401}
    assert len({body for *_, body in answers}) == 1


def test_no_file_of_another_bot_is_there(spied: list[list[Any]]) -> None:
    assert [one for one in spied if one[0] == "found"] == []


def test_no_door_of_the_host_or_of_a_neighbour_is_open(spied: list[list[Any]]) -> None:
    assert [one for one in spied if one[0] == "open"] == []
    assert len([one for one in spied if one[0] == "closed"]) > 5


@pytest.mark.usefixtures("spied")
def test_a_secret_of_the_configuration_stays_where_it_belongs(den: Den) -> None:
    site = den.site
    ref = site.running()["spy"]
    container = den.engine.containers.get(ref)
    assert CANARY not in json.dumps(container.attrs)
    assert CANARY not in container.logs().decode()
    assert CANARY not in str(container.top())
    assert CANARY not in site.log()
    assert CANARY not in json.dumps(site.ask("/status")[1])
    assert CANARY not in site.ask("/metrics")[1]
    holders = [path for path in files_below(site.root) if CANARY.encode() in path.read_bytes()]
    assert {path.parent.name for path in holders} == {"launches"}
    assert {path.stat().st_mode & 0o777 for path in holders} == {0o600}
    assert holders[0].parent.stat().st_mode & 0o777 == 0o700
    for name in site.client["the0"].list_collection_names():
        assert CANARY not in str(list(site.client["the0"][name].find())), name
    assert not [pid for pid in command_lines() if CANARY.encode() in pid]
    objects = site.store.list_objects("bot-logs", recursive=True)
    for one in objects:
        body = site.store.get_object("bot-logs", one.object_name).read()
        assert CANARY.encode() not in body, one.object_name


async def test_a_secret_is_in_no_log_subject_and_no_complaint(den: Den) -> None:
    site = den.site
    client = await nats.connect(site.services.nats.url)
    heard: list[bytes] = []

    async def hear(message: Any) -> None:
        heard.append(message.subject.encode() + message.data)

    await client.subscribe("the0.bot.logs.>", cb=hear)
    await asyncio.to_thread(den.release, "quiet", QUIET, api_key=CANARY)
    document = site.put("broken", "quiet", api_key=CANARY, resources={"memory_mb": "much"})
    await client.publish("the0.bot.updated", json.dumps(document, default=str).encode())
    await client.publish("the0.bot.created", f'{{"id": "x", "config": "{CANARY}"}}'.encode())
    await client.publish("the0.bot.created", f'{{"api_key": "{CANARY}"'.encode())
    await round_trip(client)
    await asyncio.to_thread(
        eventually, lambda: site.phase("broken") == "invalid", "the broken one is set aside"
    )
    await asyncio.to_thread(
        eventually, lambda: any(b"quiet here" in one for one in heard), "log subjects are heard"
    )
    await client.close()
    assert CANARY.encode() not in b"".join(heard)
    assert CANARY not in site.log()
    assert CANARY not in json.dumps(site.ask("/status")[1])
    site.delete("broken")


def said(den: Den) -> list[list[Any]]:
    lines = [line for line in den.lines("spy") if line.startswith("[")]
    return [json.loads(line) for line in lines]


def listeners(den: Den, stack: ExitStack) -> list[tuple[str, int]]:
    """Sockets that listen on addresses of this machine which a container could reach."""
    found = []
    for address in addresses():
        if not address.startswith("127."):
            server = stack.enter_context(socket.create_server((address, 0)))
            found.append((address, server.getsockname()[1]))
    assert found
    assert [one for one in found if one[0] == bots_gateway(den)]
    return found


def bots_gateway(den: Den) -> str:
    ref = den.site.running()[NEIGHBOUR]
    (network,) = den.engine.containers.get(ref).attrs["NetworkSettings"]["Networks"].values()
    return str(network["Gateway"])


def servers(den: Den) -> list[tuple[str, int]]:
    """The platform's servers at every address of this machine."""
    services = den.site.services
    ports = [services.mongo.port, services.s3.port, services.nats.port, 9477]
    return [(address, port) for address in addresses() for port in ports]


def addresses() -> list[str]:
    text = subprocess.run(["ip", "-4", "-o", "addr"], capture_output=True, text=True, check=True)
    return [line.split()[3].split("/")[0] for line in text.stdout.splitlines()]


def files_below(root: Path) -> Iterator[Path]:
    return (path for path in root.rglob("*") if path.is_file())


def command_lines() -> Iterator[bytes]:
    """The command line of every process of the machine."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                yield Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
