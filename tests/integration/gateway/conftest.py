"""A gateway with a real store behind a proxy that can hang and cut."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.gateway import Client, Site, make_site
from the0.testing.faults import FaultProxy, fault_proxy
from the0.testing.servers import S3Server, s3_server

MakeSite = Callable[..., Site]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture
def proxy(server: S3Server) -> Iterator[FaultProxy]:
    with fault_proxy("127.0.0.1", server.port) as found:
        yield found


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path is short enough for a Unix socket in it."""
    with tempfile.TemporaryDirectory(prefix="g") as found:
        yield Path(found)


@pytest.fixture
def new_site(
    short_path: Path, server: S3Server, proxy: FaultProxy
) -> Iterator[Callable[..., Site]]:
    """Sites of one state directory; keywords are settings as environment variables."""
    made: list[Site] = []

    def make(**settings: str) -> Site:
        keys = (server.access_key, server.secret_key)
        made.append(make_site(short_path, proxy.endpoint, keys, **settings))
        return made[-1]

    yield make
    for one in made:
        one.storage.close()


@pytest.fixture
def site(new_site: MakeSite) -> Site:
    return new_site(MAX_STATE_SIZE_MB="1", MAX_STATE_FILE_SIZE_MB="1")


@pytest_asyncio.fixture
async def client(site: Site) -> AsyncIterator[Client]:
    """An agent of a bot of its own, with the gateway serving."""
    async with site.gateway():
        yield site.launch(f"bot-{secrets.token_hex(4)}")
