"""Embedded servers, quick to start; and installations with real containers on them."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from tests.support.runner import Installation, Services, installed, make_image, running_services
from the0.testing.servers import S3Server, Server, mongo_server, s3_server


@pytest.fixture(scope="module")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """SecantusDB as a process."""
    with mongo_server(tmp_path_factory.mktemp("mongo")) as server:
        yield server


@pytest.fixture(scope="module")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """nanio as a process."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


# --- a whole runner -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """One set of servers for all installations of this process."""
    with running_services(tmp_path_factory.mktemp("services")) as running:
        yield running


@pytest.fixture(scope="session")
def runtime_image(docker_engine: docker.DockerClient) -> str:
    """Named, so that a source edited while the tests run does not ask for another image."""
    docker_engine.ping()
    return make_image()


@pytest.fixture
def site(instance: str, services: Services, runtime_image: str) -> Iterator[Installation]:
    """An installation of the test's own, its host not started yet."""
    settings = {"RUNTIME_IMAGE": runtime_image}
    with installed(instance, services, settings) as found:
        yield found
