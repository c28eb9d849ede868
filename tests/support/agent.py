"""Runs the real agent below a folder of a test, in place of a container."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.fake_gateway import LAUNCH, TOKEN, FakeGateway

PATIENCE_SEC = 30.0
FOREVER = "import time\nprint('up')\nwhile True: time.sleep(0.05)\n"


def packed(files: dict[str, str]) -> bytes:
    """A code archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def launch_document(**changes: Any) -> dict[str, Any]:
    """A launch document that is quick about everything."""
    return {
        "protocol": 1,
        "launch": LAUNCH,
        "bot_id": "bot-1",
        "kind": "realtime",
        "config": '{"big": 12345678901234567890}',
        "entrypoints": {"bot": "main.py"},
        "commands": {"bot": [sys.executable, "main.py"]},
        "timezone": "UTC",
        "stop_grace_sec": 5.0,
        "sync": {"interval_sec": 1.0, "min_interval_sec": 0.1, "final_sec": 10.0},
        "logs": {"flush_sec": 0.05},
        **changes,
    }


def wait_until(seen: Callable[[], object], what: str = "it") -> None:
    """Wait until `seen` is true; an error after a time that is never reached when all is well."""
    deadline = time.monotonic() + PATIENCE_SEC
    while not seen():
        assert time.monotonic() < deadline, f"{what} did not happen within {PATIENCE_SEC} s"
        time.sleep(0.02)


class Agent:
    """A root folder laid out like a container, its gateway, and one agent at a time in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("bot", "state", "var/the0", "query", "tmp", "run/the0"):
            (root / name).mkdir(parents=True)
        self.gateway = FakeGateway(root / "run/the0/gateway.sock", launch_document())
        self.gateway.start()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def var(self) -> Path:
        return self.root / "var/the0"

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the agent with the container's environment."""
        environment = {
            "PATH": os.environ["PATH"],
            "THE0_ROOT": str(self.root),
            "THE0_LAUNCH": LAUNCH,
            "THE0_TOKEN": TOKEN,
        }
        with (self.root / "console").open("ab") as console:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "the0.agent", *(arguments or ("execute",))],
                env=environment,
                stdout=console,
                stderr=subprocess.STDOUT,
            )
        return self.process

    def run(self, bot: str, **document: Any) -> int:
        """Run a bot to its end; the agent's exit code."""
        self.give(bot, **document)
        return self.start().wait(PATIENCE_SEC)

    def give(self, bot: str, **document: Any) -> None:
        """The bot and the changes of the launch document for the next start."""
        self.gateway.code = packed({"main.py": bot})
        self.gateway.document = launch_document(**document)

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SEC)

    def console(self) -> str:
        return (self.root / "console").read_text(errors="replace")

    def sync_pid(self) -> int | None:
        """The fork that syncs, once nothing else of the agent runs; None while there is none."""
        assert self.process
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for pid in children.read_text().split():
            if b"the0.agent" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return int(pid)
        return None

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with_patience = self.process
            try:
                with_patience.wait(PATIENCE_SEC)
            except subprocess.TimeoutExpired:
                with_patience.kill()
                with_patience.wait()
        self.gateway.stop()


@contextmanager
def agent_below(root: Path) -> Iterator[Agent]:
    agent = Agent(root)
    try:
        yield agent
    finally:
        agent.close()
