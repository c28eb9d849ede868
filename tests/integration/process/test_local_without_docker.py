"""`the0 local start --executor process`: every example bot, where there is no Docker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.e2e.conftest import new_site
from tests.integration.process.conftest import NO_DOCKER
from tests.support.leaks import CHECKOUT
from tests.support.site import Site, eventually

EXAMPLES = CHECKOUT / "examples" / "bots"
REALTIME = {"price-alert": ("/price", "price"), "trend-signal": ("/trend", "price")}
SCHEDULED = {"daily-report": ("/latest", "value"), "drift-report": ("/latest", "drift")}
"""Example bot -> a query, and what its answer holds."""


@pytest.fixture
def site(docker_engine: docker.DockerClient) -> Iterator[Site]:
    with new_site(docker_engine, {"DOCKER_HOST": NO_DOCKER}) as site:
        yield site


def deploy(site: Site, name: str) -> None:
    folder = EXAMPLES / name
    site.the0("custom-bot", "deploy", str(folder))
    site.the0("bot", "deploy", str(folder / "instance.json"), "--id", name)


def answer(site: Site, name: str, path: str) -> Any:
    """The bot's answer; None while it cannot be asked."""
    asked = site.run("bot", "query", name, path)
    return asked.stdout if asked.returncode == 0 else None


def test_every_example_bot_runs_and_answers(site: Site, tmp_path: Path) -> None:
    every = {path.name for path in EXAMPLES.iterdir()}
    assert every == {*REALTIME, *SCHEDULED}
    site.the0("local", "start", "--executor", "process")
    for name in sorted(every):
        deploy(site, name)
    for name in SCHEDULED:
        site.the0("bot", "run-now", name)
    for name in SCHEDULED:
        runs = eventually(
            lambda name=name: site.json("runs", "list", name)["runs"],
            lambda found: bool(found) and bool(found[0]["outcome"]),
        )
        assert runs[0]["outcome"] == "succeeded"
    for name, (path, member) in {**REALTIME, **SCHEDULED}.items():
        found = eventually(lambda name=name, path=path: answer(site, name, path))
        assert f'"{member}"' in found
    checks = site.run("doctor").stdout
    assert "nothing bounds their memory" in checks
    site.the0("local", "stop")
    assert not site.processes()
