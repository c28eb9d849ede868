"""An installation whose bots are processes of this machine."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.support.runner import Installation, Quiet, Services, installed
from the0.config import bootstrap
from the0.core.images import ensure_images
from the0.plugin.interfaces import PluginArgs

NO_DOCKER = "unix:///nowhere/docker.sock"


@pytest.fixture
def process_site(services: Services) -> Iterator[Installation]:
    """Its host is not started yet; Docker is out of its reach."""
    settings = {
        "THE0_EXECUTOR__PLUGIN": "process",
        "DOCKER_HOST": NO_DOCKER,
        "THE0_RUNNER__STOP_GRACE_SEC": "2",
    }
    with installed(f"t{secrets.token_hex(4)}", services, settings) as site:
        found, plugins = bootstrap((), site.environ)
        runtime = plugins.runtimes.get("python3.11")
        args = PluginArgs(site.instance, "", site.root, found.sections)
        with site.executor() as executor:
            ensure_images(executor, [runtime(args)], Quiet())
        yield site
