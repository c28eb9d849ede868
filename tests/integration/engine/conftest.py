"""A private engine for the tests of a module; an installation on it for each."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from tests.support.private_engine import PrivateEngine, private_engine
from tests.support.runner import Installation, Services, installed


@pytest.fixture(scope="module")
def engine(docker_engine: docker.DockerClient, runtime_image: str) -> Iterator[PrivateEngine]:
    with private_engine(runtime_image, docker_engine) as found:
        yield found


@pytest.fixture
def site(
    instance: str, services: Services, engine: PrivateEngine, runtime_image: str
) -> Iterator[Installation]:
    settings = {
        "THE0_DOCKER__HOST": engine.url,
        "RUNTIME_IMAGE": runtime_image,
        "THE0_EXECUTOR__TIMEOUT_SEC": "3",
        "THE0_RUNNER__STOP_GRACE_SEC": "2",
    }
    with installed(instance, services, settings) as found:
        yield found
        engine.revive()
    assert engine.client.containers.list(all=True) == []
