"""One host for all hostile bots of a module; after each test the neighbour is asked how it was."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import docker
import pytest

from tests.support import leaks
from tests.support.den import Den
from tests.support.runner import Services, installed

SETTINGS = {
    "THE0_RUNNER__STOP_GRACE_SEC": "2",
    "THE0_SYNC__FINAL_SEC": "10",
    "THE0_SYNC__INTERVAL_SEC": "2",
    "THE0_SYNC__MIN_INTERVAL_SEC": "0.5",
    "THE0_LOGS__LOCAL_MB": "1",
    "THE0_DOCKER__LOG_MAX_SIZE": "1m",
    "MAX_STATE_FILE_SIZE_MB": "1",
    "THE0_LIMITS__TMP_MB": "16",
}


@pytest.fixture(scope="module")
def den(
    docker_engine: docker.DockerClient,
    services: Services,
    runtime_image: str,
) -> Iterator[Den]:
    name = f"t{secrets.token_hex(4)}"
    settings = {**SETTINGS, "RUNTIME_IMAGE": runtime_image}
    with installed(name, services, settings) as site:
        found = Den(site, docker_engine)
        found.open()
        yield found
    left = leaks.left_in_engine(docker_engine, name)
    assert not left, f"left in the Docker engine: {left}"


@pytest.fixture(autouse=True)
def neighbour_is_undisturbed(request: pytest.FixtureRequest) -> Iterator[None]:
    if "den" not in request.fixturenames:
        yield
        return
    den: Den = request.getfixturevalue("den")
    with den.undisturbed():
        yield
    if request.node.session.testsfailed:
        print(den.site.log()[-20_000:])
