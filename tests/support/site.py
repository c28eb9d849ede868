"""A whole installation for end-to-end tests, driven by the real command line alone."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import docker

from tests.support import leaks

T = TypeVar("T")

THE0 = str(Path(sys.executable).parent / "the0")
BOTS = Path(__file__).parents[1] / "e2e" / "bots"
EVENTUALLY_SEC = 90.0
COMMAND_SEC = 240.0
PORTS = range(20000, 32000)
"""Below those that Linux gives to clients: sites that start side by side would take the same
default port."""


@dataclass
class Site:
    """`root` is its folder (THE0_LOCAL_DIR), `instance` its name; `extra` are further variables."""

    root: Path
    instance: str
    engine: docker.DockerClient
    extra: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=lambda: secrets.choice(PORTS))

    @property
    def environ(self) -> dict[str, str]:
        own = {
            "THE0_LOCAL_DIR": str(self.root),
            "THE0_INSTANCE": self.instance,
            "THE0_API__PORT": str(self.port),
        }
        return {**os.environ, **own, **self.extra}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command, whatever its exit code."""
        return subprocess.run(
            [THE0, *arguments],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SEC,
            check=False,
        )

    def the0(self, *arguments: str) -> str:
        """One command that has to succeed; what it wrote to stdout."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"the0 {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.the0(*arguments, "--json"))

    def json_file(self, name: str) -> Any:
        return json.loads((self.root / name).read_text())

    def report(self) -> str:
        """What a failed test shows: its containers, and the end of its host's log."""
        log = self.root / "logs" / "host.log"
        text = log.read_text(errors="replace")[-6000:] if log.exists() else "no host yet"
        return f"{leaks.engine_report(self.engine, self.instance)}\n\n{log}:\n{text}"

    # --- what runs ---

    def pids(self) -> dict[str, int]:
        """Process ids by name, as `the0 local status` tells them."""
        found = json.loads(self.run("local", "status", "--json").stdout)
        return {one["name"]: one["pid"] for one in found["processes"]}

    def processes(self) -> list[str]:
        """Command lines of all processes that mention this site's folder."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.root) in line and path.parent.name != str(os.getpid()):
                found.append(line)
        return found

    def containers(self) -> list[str]:
        """Ids of all its containers, in every state."""
        return [one.id for one in self.engine.containers.list(all=True, filters=self._filter)]

    def networks(self) -> list[str]:
        return [one.name for one in self.engine.networks.list(filters=self._filter)]

    def volumes(self) -> list[str]:
        return [one.name for one in self.engine.volumes.list(filters={"name": self.instance})]

    @property
    def _filter(self) -> dict[str, str]:
        return {"label": f"the0.instance={self.instance}"}

    # --- bots ---

    def deploy(self, bot_id: str, folder: Path, **config: Any) -> None:
        """The counter bot as `bot_id`, with this configuration."""
        self.the0("bot", "deploy", str(instance_file(folder, **config)), "--id", bot_id)

    def status(self, bot_id: str) -> dict[str, Any]:
        """The bot's RunningBot; empty until the host has looked at it."""
        found: dict[str, Any] = self.json("bot", "show", bot_id)
        return found["status"] or {}

    def phase(self, bot_id: str) -> str | None:
        return self.status(bot_id).get("phase")

    def counts(self, bot_id: str, label: str) -> list[int]:
        """The counts that the counter bot printed behind `label`, in the order of its log."""
        text = self.the0("bot", "logs", bot_id, "--lines", "500")
        return [int(count) for count in re.findall(rf"\b{label} (\d+)", text)]

    def container(self, bot_id: str) -> docker.models.containers.Container:
        (found,) = self.engine.containers.list(filters={"label": f"runtime.id={bot_id}"})
        return found


def instance_file(folder: Path, version: str = "1.0.0", **config: Any) -> Path:
    """An instance of the counter bot as a JSON file."""
    path = folder / "instance.json"
    instance = {"name": "a counter", "type": "realtime/counter", "version": version, **config}
    path.write_text(json.dumps(instance))
    return path


def eventually(question: Callable[[], T], wanted: Callable[[T], bool] = bool) -> T:
    """The first answer that is as wanted; AssertionError with the last one when none comes."""
    deadline = time.monotonic() + EVENTUALLY_SEC
    while not wanted(answer := question()):
        assert time.monotonic() < deadline, f"it never came true; last: {answer!r}"
        time.sleep(0.2)
    return answer
