"""The real agent and the real gateway with each other, below folders in place of containers."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.agent import launch_document, packed
from tests.support.gateway import PATIENCE_SEC, Site, threaded, until
from the0.launches import LaunchStatus
from the0.testing.storage import get

BOT = "counter"
KEY = "user/counter/1.0.0"
COUNTING = """
import os, pathlib
file = pathlib.Path(os.environ["STATE_DIR"]) / "count.json"
file.parent.mkdir(parents=True, exist_ok=True)
count = int(file.read_text()) + 1 if file.exists() else 1
file.write_text(str(count))
print("run", count)
"""


class Container:
    """A folder laid out like a container; its state outlives a launch unless it is lost."""

    def __init__(self, root: Path, site: Site) -> None:
        self.root, self.site = root, site
        for name in ("bot", "state", "var/the0", "query", "tmp", "run/the0"):
            (root / name).mkdir(parents=True)
        socket = root / "run/the0/gateway.sock"
        socket.symlink_to(site.settings.state_dir.gateway_socket)

    def lose_volumes(self) -> None:
        for name in ("state", "var/the0"):
            shutil.rmtree(self.root / name)
            (self.root / name).mkdir()

    def start(self) -> subprocess.Popen[bytes]:
        """A new launch of the bot, the only one that may store its state from now on."""
        client = self.site.launch(BOT, code_key=KEY, document=launch_document(bot_id=BOT))
        self.site.launches.supersede(BOT, by=client.launch)
        self.launch = client.launch
        shutil.rmtree(self.root / "bot")
        (self.root / "bot").mkdir()
        environment = {
            "PATH": "/usr/bin:/bin",
            "THE0_ROOT": str(self.root),
            "THE0_LAUNCH": client.launch,
            "THE0_TOKEN": client.token,
        }
        command = [sys.executable, "-m", "the0.agent", "execute"]
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)

    async def run(self) -> int:
        """One launch to its end; the exit code."""
        return await threaded(self.start().wait, PATIENCE_SEC)

    def status(self) -> LaunchStatus | None:
        return self.site.launches.status(self.launch)


@pytest.fixture
def container(site: Site, tmp_path: Path) -> Container:
    archive = packed({"main.py": COUNTING})
    site.storage.put("custom-bots", KEY, io.BytesIO(archive), len(archive))
    site.storage.delete("bot-state", f"{BOT}/state.tar.gz")
    return Container(tmp_path / "c", site)


async def test_state_survives_launches_and_lost_volumes(site: Site, container: Container) -> None:
    async with site.gateway():
        for lost in (False, False, True, True):
            if lost:
                container.lose_volumes()
            assert await container.run() == 0
            status = container.status()
            assert status is not None
            assert status.exit is not None
            assert (status.phase, status.exit.code, status.exit.state_saved) == ("ended", 0, True)
    (day,) = [one.key for one in site.storage.list("bot-logs", f"logs/{BOT}/")]
    text = get(site.storage, "bot-logs", day).decode()
    assert [line.split('"message":"')[1][:5] for line in text.splitlines() if "run" in line] == [
        *("run 1", "run 2", "run 3", "run 4")
    ]


async def test_a_state_changed_on_both_sides_waits_for_a_person(
    site: Site, container: Container
) -> None:
    def conflict() -> bool:
        status = container.status()
        return status is not None and "StateConflict" in {one.type for one in status.conditions}

    async with site.gateway():
        assert await container.run() == 0
        foreign = b"somebody else's"
        site.storage.put("bot-state", f"{BOT}/state.tar.gz", io.BytesIO(foreign), len(foreign))
        mine = container.root / "state/.the0-state/count.json"
        mine.write_text("100")
        process = container.start()
        await until(conflict)
        process.terminate()
        await threaded(process.wait, PATIENCE_SEC)
        assert mine.read_text() == "100"
        assert get(site.storage, "bot-state", f"{BOT}/state.tar.gz") == foreign
