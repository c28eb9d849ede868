"""Installations for end-to-end tests; what one leaves behind after `the0 local stop` is a fault."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from tests.support import leaks
from tests.support.site import BOTS, Site


@contextmanager
def new_site(engine: docker.DockerClient, extra: Mapping[str, str]) -> Iterator[Site]:
    """A bare state; afterwards everything is stopped, and nothing may be left."""
    # Below pytest's own folder the paths of the sockets would be too long for Linux.
    root = Path(tempfile.mkdtemp(prefix="site-"))
    site = Site(root, f"e2e-{secrets.token_hex(3)}", engine, extra)
    try:
        yield site
        stopped = site.run("local", "stop")
        left = (site.containers(), site.networks(), site.volumes(), site.processes())
        assert stopped.returncode == 0, stopped.stderr
        assert left == ([], [], [], []), f"left behind: {left}"
    finally:
        site.run("local", "stop")
        leaks.left_in_engine(engine, site.instance)
        shutil.rmtree(root)


@pytest.fixture(scope="module")
def site(docker_engine: docker.DockerClient) -> Iterator[Site]:
    """An installation that runs, with the counter bot's code deployed."""
    with new_site(docker_engine, {}) as site:
        site.the0("local", "start")
        site.the0("custom-bot", "deploy", str(BOTS / "counter"))
        yield site


@pytest.fixture
def bare_site(docker_engine: docker.DockerClient) -> Iterator[Site]:
    """An installation of the test's own, not started yet."""
    with new_site(docker_engine, {}) as site:
        yield site
