"""A private engine for the tests of a module; an installation on it for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.support.faults import LEDGER
from tests.support.private_engine import PrivateEngine, private_engine
from tests.support.runner import Installation, Services, make_image
from tests.support.runner_fixtures import services

__all__ = ["services"]


@pytest.fixture(scope="module")
def image(services: Services, tmp_path_factory: pytest.TempPathFactory) -> str:
    found = Installation("none", services, tmp_path_factory.mktemp("none"))
    return make_image(found.environ)


@pytest.fixture(scope="module")
def engine(docker_engine: docker.DockerClient, image: str) -> Iterator[PrivateEngine]:
    with private_engine(image, docker_engine) as found:
        yield found


@pytest.fixture
def site(
    instance: str, services: Services, engine: PrivateEngine, image: str, tmp_path: Path
) -> Iterator[Installation]:
    root = tmp_path / "s"
    root.mkdir()
    settings = {
        "THE0_DOCKER__HOST": engine.url,
        "RUNTIME_IMAGE": image,
        "THE0_EXECUTOR__TIMEOUT_SEC": "3",
        "THE0_RUNNER__STOP_GRACE_SEC": "2",
    }
    found = Installation(instance, services, root, settings)
    found.upload("ledger", LEDGER)
    yield found
    print(found.log())
    engine.revive()
    found.clear()
    assert engine.client.containers.list(all=True) == []
