"""The agent in a real container, the real gateway, a real store."""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from tests.support.agent import PATIENCE_SEC, launch_document, packed
from tests.support.agent_image import agent_image, run_options
from tests.support.gateway import Client, Site, make_site
from the0.testing.servers import s3_server

BOT = """\
import os, signal, sys, time
os.makedirs(os.environ['STATE_DIR'], exist_ok=True)
path = os.environ['STATE_DIR'] + '/n.json'
n = int(open(path).read()) + 1 if os.path.exists(path) else 1
open(path, 'w').write(str(n))
print('start', n)
def end(*_):
    open('/bot/result.json', 'w').write('{}'); print('bye'); sys.exit(3)
signal.signal(signal.SIGTERM, end)
while True: time.sleep(0.05)
"""


class Runs:
    """Containers of one bot on the real gateway's socket."""

    def __init__(self, engine: docker.DockerClient, image: str, instance: str, site: Site) -> None:
        self._engine = engine
        self._image = image
        self._instance = instance
        self.site = site

    def launch(self, **document: Any) -> Client:
        commands = {"bot": ["python3", "main.py"]}
        given = launch_document(**{"commands": commands, **document})
        return self.site.launch(kind=given["kind"], code_key="u/b/1", document=given)

    def start(self, client: Client, volume: str) -> Container:
        return self._engine.containers.run(
            self._image,
            ["/app/runtime", "execute"],
            name=f"{self._instance}-{client.launch[:8]}",
            environment={"THE0_LAUNCH": client.launch, "THE0_TOKEN": client.token},
            volumes={
                f"{self._instance}-{volume}-state": {"bind": "/state"},
                f"{self._instance}-{volume}-var": {"bind": "/var/the0"},
                str(client.path.parent): {"bind": "/run/the0", "mode": "ro"},
            },
            **run_options(),
        )

    def close(self) -> None:
        for container in self._engine.containers.list(all=True, filters={"name": self._instance}):
            print(container.logs(tail=30).decode(errors="replace"))
            container.remove(force=True, v=True)
        for volume in self._engine.volumes.list(filters={"name": self._instance}):
            volume.remove()


@pytest.fixture
def runs(docker_engine: docker.DockerClient, instance: str, tmp_path: Path) -> Iterator[Runs]:
    # Not below tmp_path: the path of a Unix socket may have 107 characters.
    with s3_server(tmp_path / "s3") as server, tempfile.TemporaryDirectory(prefix="g") as root:
        Path(root).chmod(0o755)
        site = make_site(Path(root), server.endpoint, (server.access_key, server.secret_key))
        code = packed({"main.py": BOT})
        site.storage.put("custom-bots", "u/b/1", io.BytesIO(code), len(code))
        runs = Runs(docker_engine, agent_image(docker_engine), instance, site)
        try:
            yield runs
        finally:
            runs.close()
            site.storage.close()


def said(runs: Runs, text: str) -> bool:
    """Whether the gateway published it."""
    return text.encode() in b"".join(data for _, data in runs.site.published.all)


async def until(seen: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SEC):
        while not seen():  # noqa: ASYNC110 - containers tell nothing
            await asyncio.sleep(0.05)


async def stopped(container: Container) -> int:
    await asyncio.to_thread(container.stop, timeout=60)
    return int((await asyncio.to_thread(container.wait))["StatusCode"])


async def test_a_bots_life_over_three_launches(runs: Runs) -> None:
    async with runs.site.gateway():
        for number, volume in enumerate(("a", "a", "b"), 1):
            client = runs.launch(run_id=None)
            container = await asyncio.to_thread(runs.start, client, volume)
            await until(lambda number=number: said(runs, f"start {number}\n"))
            assert await stopped(container) == 3
            status = runs.site.launches.status(client.launch)
            assert status is not None
            assert (status.phase, status.conditions) == ("ended", ())
            assert status.exit is not None
            assert (status.exit.code, status.exit.reason) == (3, "stopped")
            assert status.exit.state_saved
    text = b"".join(data for _, data in runs.site.published.all).decode().split()
    assert text == ["start", "1", "bye", "start", "2", "bye", "start", "3", "bye"]


async def test_the_gateway_comes_late_and_goes_early(runs: Runs) -> None:
    client = runs.launch(sync={"final_sec": 2.0})
    container = await asyncio.to_thread(runs.start, client, "a")
    await until(lambda: b"No such file" in container.logs())
    async with runs.site.gateway():
        await until(lambda: said(runs, "start 1\n"))
    assert await stopped(container) == 3
    async with runs.site.gateway():
        flush = runs.launch(kind="flush", commands={})
        container = await asyncio.to_thread(runs.start, flush, "a")
        assert (await asyncio.to_thread(container.wait, timeout=60))["StatusCode"] == 0
        status = runs.site.launches.status(flush.launch)
    assert status is not None
    assert status.exit is not None
    assert status.exit.state_saved
    text = b"".join(data for _, data in runs.site.published.all).decode().split()
    assert [word for word in text if word in ("1", "bye")] == ["1", "bye"]
