"""The agent as process 1 of real containers, on the images' own Python, beside hostile bots."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from tests.support.agent import launch_document, packed, wait_until
from tests.support.agent_image import agent_image, run_options
from tests.support.fake_gateway import LAUNCH, TOKEN, FakeGateway

FOREVER = "import time\nprint('up')\nwhile True: time.sleep(0.05)\n"
END_SEC = 60


@pytest.fixture(scope="session")
def image(docker_engine: docker.DockerClient) -> str:
    return agent_image(docker_engine)


class Host:
    """One bot's volumes, its gateway, and one container at a time."""

    def __init__(self, engine: docker.DockerClient, image: str, instance: str) -> None:
        self.engine = engine
        self.image = image
        self.instance = instance
        self.folder = Path(tempfile.mkdtemp())
        self.folder.chmod(0o755)
        self.gateway = FakeGateway(self.folder / "gateway.sock", {})
        self.gateway.start()
        self.container: Container | None = None

    def start(self, bot: str, limits: dict[str, Any] | None = None, **document: Any) -> Container:
        self.gateway.code = packed({"main.py": bot})
        commands = {"bot": ["python3", "main.py"]}
        self.gateway.document = launch_document(**{"commands": commands, **document})
        self.remove()
        volumes = {
            f"{self.instance}-state": {"bind": "/state"},
            f"{self.instance}-var": {"bind": "/var/the0"},
            str(self.folder): {"bind": "/run/the0", "mode": "ro"},
        }
        self.container = self.engine.containers.run(
            self.image,
            ["/app/runtime", "execute"],
            name=f"{self.instance}-bot",
            environment={"THE0_LAUNCH": LAUNCH, "THE0_TOKEN": TOKEN},
            volumes=volumes,
            **{**run_options(), **(limits or {})},
        )
        return self.container

    def wait(self) -> int:
        """The container's exit code."""
        assert self.container
        return int(self.container.wait(timeout=END_SEC)["StatusCode"])

    def run(self, bot: str, **document: Any) -> int:
        self.start(bot, **document)
        return self.wait()

    def processes(self) -> list[Path]:
        """The /proc folders of the agent's own processes, its process 1 first."""
        assert self.container
        self.container.reload()
        first = self.container.attrs["State"]["Pid"]
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        own = [Path(f"/proc/{pid}") for pid in (str(first), *children)]
        return [each for each in own if b"/app/runtime" in (each / "cmdline").read_bytes()]

    def remove(self) -> None:
        if self.container:
            self.container.remove(force=True, v=True)
            self.container = None

    def close(self) -> None:
        self.remove()
        for name in ("state", "var"):
            self.engine.volumes.get(f"{self.instance}-{name}").remove()
        self.gateway.stop()
        shutil.rmtree(self.folder)


@pytest.fixture
def host(docker_engine: docker.DockerClient, image: str, instance: str) -> Iterator[Host]:
    host = Host(docker_engine, image, instance)
    try:
        yield host
    finally:
        if host.container:
            print(host.container.logs(tail=50).decode(errors="replace"))
        host.close()


def test_a_bot_starts_ends_and_its_state_is_there_again(host: Host) -> None:
    assert host.run("open('/state/k', 'w').write('1'); raise SystemExit(5)") == 5
    assert host.gateway.exit()["code"] == 5
    assert host.gateway.exit()["peak_memory_bytes"] > 1_000_000
    assert host.run("print(open('/state/k').read())") == 0
    assert host.gateway.lines() == ["1"]
    assert host.gateway.uploads == 1


def test_nothing_of_the_agent_can_be_read_by_the_bot(host: Host) -> None:
    code = host.run(
        "import os\n"
        "for pid in os.listdir('/proc'):\n"
        "    if not pid.isdigit() or int(pid) == os.getpid(): continue\n"
        "    for name in ('environ', 'mem', 'maps', 'fd', 'cwd', 'root'):\n"
        "        path = f'/proc/{pid}/{name}'\n"
        "        try:\n"
        "            os.listdir(path) if name == 'fd' else "
        "os.readlink(path) if name in ('cwd', 'root') else open(path, 'rb').read(1)\n"
        "            print('READ', path)\n"
        "        except OSError as error: print(error.errno, pid, name)\n"
        "print(os.environ)\n"
    )
    lines = host.gateway.lines()
    assert code == 0
    assert len(lines) >= 13
    assert not [line for line in lines if "READ" in line or TOKEN in line]


@pytest.mark.parametrize("number", [9, 19, 15])
def test_a_bot_that_attacks_every_process_of_the_agent(host: Host, number: int) -> None:
    host.start(
        "import contextlib, os, time, signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "own = os.getpid()\n"
        "for _ in range(5):\n"
        "    for pid in [int(p) for p in os.listdir('/proc') if p.isdigit()]:\n"
        "        with contextlib.suppress(ProcessLookupError):\n"
        f"            if pid not in (own, 1): os.kill(pid, {number})\n"
        "    time.sleep(0.2)\n"
        "open('/state/k', 'w').write('after')\n"
        "print('survived')\n"
    )
    assert host.wait() == 0
    assert host.gateway.lines() == ["survived"]
    assert host.gateway.exit()["state_saved"] is True
    assert host.gateway.state is not None


def test_signals_of_the_bot_do_not_end_or_freeze_process_1(host: Host) -> None:
    code = host.run(
        "import os, signal, time\n"
        "for number in set(range(1, 65)) - {32, 33, signal.SIGTERM, signal.SIGINT}:\n"
        "    os.kill(1, number)\n"
        "time.sleep(0.2); print('alive')\n"
    )
    assert code == 0
    assert host.gateway.lines() == ["alive"]


def test_orphans_are_reaped(host: Host) -> None:
    host.start(
        "import os, time\n"
        "for _ in range(20):\n"
        "    if os.fork() == 0:\n"
        "        if os.fork() == 0: os._exit(0)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "def zombies():\n"
        "    for pid in os.listdir('/proc'):\n"
        "        if pid.isdigit():\n"
        "            try: yield open(f'/proc/{pid}/stat').read().rpartition(')')[2][1]\n"
        "            except OSError: pass\n"
        "while 'Z' in zombies(): time.sleep(0.01)\n"
        "print('no zombies')\n"
    )
    assert host.wait() == 0
    assert host.gateway.lines() == ["no zombies"]


def test_a_fork_bomb_harms_only_its_container(host: Host) -> None:
    host.start(
        "import os, time\nprint('bomb')\nopen('/state/k', 'w').write('1')\n"
        "while True:\n"
        "    try: os.fork()\n"
        "    except OSError: time.sleep(0.1)\n"
    )
    wait_until(host.gateway.lines)
    assert host.container
    host.container.stop(timeout=END_SEC)
    assert host.gateway.exit()["reason"] == "stopped"
    assert host.gateway.exit()["state_saved"] is True


def test_out_of_memory_ends_the_bot_and_not_the_agent(host: Host) -> None:
    code = host.run(
        "open('/state/k', 'w').write('1')\nfilled = []\n"
        "while True: filled.append(bytearray(1 << 20))\n"
    )
    assert code == 137
    ended = host.gateway.exit()
    assert (ended["signal"], ended["reason"], ended["state_saved"]) == (9, "exited", True)
    assert ended["peak_memory_bytes"] > 100 << 20


def test_docker_stop_reaches_the_bot_and_loses_nothing(host: Host) -> None:
    host.start(
        "import signal, sys\n"
        "def end(*_):\n"
        "    open('/state/last', 'w').write('words'); print('bye'); sys.exit(3)\n"
        "signal.signal(signal.SIGTERM, end)\n" + FOREVER
    )
    wait_until(host.gateway.lines)
    assert host.container
    host.container.stop(timeout=END_SEC)
    assert host.wait() == 3
    assert host.gateway.lines() == ["up", "bye"]
    assert host.run("print(open('/state/last').read())") == 0
    assert host.gateway.lines()[-1] == "words"


def test_a_killed_container_leaves_state_and_log_to_the_next(host: Host) -> None:
    host.start(FOREVER.replace("print('up')", "print('up'); open('/state/k', 'w').write('1')"))
    wait_until(host.gateway.lines)
    host.gateway.faults["*"] = "503"
    assert host.container
    host.container.kill()
    assert host.wait() == 137
    host.gateway.faults.clear()
    assert host.run("print(open('/state/k').read())") == 0
    assert host.gateway.lines() == ["up", "1"]
    assert host.gateway.uploads == 1


def test_a_query_cannot_change_state_under_dockers_own_seccomp(host: Host) -> None:
    assert host.run("open('/state/k', 'w').write('1')") == 0
    code = host.run(
        "import os\n"
        "for path in ('/state/k', '/state/new', '/bot/x', '/var/the0/x'):\n"
        "    try: open(path, 'w'); print('WROTE', path)\n"
        "    except OSError as error: print(error.errno)\n"
        "open('/query/result.json', 'w').write(open('/state/k').read())\n",
        kind="query",
        entrypoints={"query": "main.py"},
        commands={"query": ["python3", "main.py"]},
        query={"path": "/x", "params": {}},
    )
    assert code == 0
    assert host.gateway.lines() == ["13"] * 4
    assert host.gateway.results == [b"1"]


def test_the_agent_stays_small(host: Host) -> None:
    host.start(
        FOREVER.replace("print('up')", "print('up'); open('/state/k','wb').write(b'x' * 5000000)")
    )
    wait_until(lambda: host.gateway.uploads == 1, "an upload")
    both = host.processes()
    assert len(both) == 2
    for process in both:
        lines = (process / "smaps_rollup").read_text().splitlines()
        (private,) = [int(line.split()[1]) for line in lines if line.startswith("Private_Dirty")]
        assert private < 8 * 1024
        loaded = (process / "maps").read_text()
        assert not [
            name for name in ("ssl", "_hashlib", "libcrypto", "_bz2", "_lzma") if name in loaded
        ]
