"""Shared by all tests: leak checks, and real services for those that ask for them."""

from __future__ import annotations

import asyncio
import inspect
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator

import docker
import hypothesis
import pytest
import pytest_asyncio

from tests.support import leaks, services
from tests.support.site import Site


def pytest_configure(config: pytest.Config) -> None:
    """Temporary files of the session and of its subprocesses go below one directory of its own."""
    # A shell's background jobs ignore Ctrl-C, and so would every process that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    scratch = tempfile.mkdtemp(prefix="the0-test-")
    patch = pytest.MonkeyPatch()
    patch.setenv("TMPDIR", scratch)
    patch.setattr(tempfile, "tempdir", scratch)
    # pytest's own name leaves too little of the 107 bytes that the path of a socket may have.
    if not config.option.basetemp:
        config.option.basetemp = f"{scratch}/t"
        os.mkdir(config.option.basetemp)

    def undo() -> None:
        patch.undo()
        shutil.rmtree(scratch, ignore_errors=True)

    config.add_cleanup(undo)


# How long an example takes says more of the machine's load than of the code.
hypothesis.settings.register_profile(
    "the0", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("the0")


def pytest_report_header() -> str:
    return services.describe()


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set up first and torn down last, so that it sees what all other fixtures left."""
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("no_task_left")
    with leaks.no_environment_leak(), leaks.no_file_leak():
        yield


@pytest_asyncio.fixture
async def no_task_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    leaks.assert_no_new_tasks(before)


# --- the Docker engine ----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[docker.DockerClient]:
    """A client of the real engine; its absence is an error, never a skip."""
    client = docker.from_env(timeout=60)
    client.ping()
    services.remove_leftovers(client)
    yield client
    services.remove_leftovers(client, of_this_session=True)
    client.close()


@pytest.fixture
def instance(docker_engine: docker.DockerClient) -> Iterator[str]:
    """The name of an installation of this test's own; whatever the engine still has under that
    name afterwards is removed and fails the test."""
    name = f"t{secrets.token_hex(4)}"
    yield name
    left = leaks.left_in_engine(docker_engine, name)
    assert not left, f"left in the Docker engine: {left}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failed test with containers shows their state and last lines, and a site its host's log."""
    report = yield
    if report.failed and report.when == "call":
        arguments = getattr(item, "funcargs", {})
        if name := arguments.get("instance"):
            text = leaks.engine_report(arguments["docker_engine"], name)
            report.sections.append((f"containers of {name}", text or "none"))
        for site in [one for one in arguments.values() if isinstance(one, Site)]:
            report.sections.append((f"site {site.instance}", site.report()))
    return report


# --- services in containers -----------------------------------------------------------------------


@pytest.fixture(scope="session")
def mongo_container(docker_engine: docker.DockerClient) -> Iterator[services.Service]:
    with services.running("mongo") as service:
        yield service


@pytest.fixture(scope="session")
def s3_container(docker_engine: docker.DockerClient) -> Iterator[services.Service]:
    with services.running("s3") as service:
        yield service


@pytest.fixture(scope="session")
def nats_container(docker_engine: docker.DockerClient) -> Iterator[services.Service]:
    with services.running("nats") as service:
        yield service


@pytest.fixture
def mongo(mongo_container: services.Service) -> Iterator[services.Service]:
    """MongoDB in a container shared by the session; a test may kill or pause it."""
    yield mongo_container
    mongo_container.revive()


@pytest.fixture
def s3(s3_container: services.Service) -> Iterator[services.Service]:
    """An S3 store in a container shared by the session; a test may kill or pause it."""
    yield s3_container
    s3_container.revive()


@pytest.fixture
def nats(nats_container: services.Service) -> Iterator[services.Service]:
    """NATS with JetStream in a container shared by the session; a test may kill or pause it."""
    yield nats_container
    nats_container.revive()
