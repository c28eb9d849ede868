"""A real S3 server for the tests of this distribution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from the0_storage_minio import MinioSettings, MinioStorage

from the0.plugin import PluginArgs
from the0.testing.servers import S3Server, s3_server

MakeStorage = Callable[..., MinioStorage]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture
def make_storage(server: S3Server) -> Iterator[MakeStorage]:
    """Storages with the server's credentials; keywords change their settings."""
    made = []

    def make(**changed: object) -> MinioStorage:
        settings = MinioSettings(
            **{  # type: ignore[arg-type]
                "endpoint": server.endpoint,
                "access_key": server.access_key,
                "secret_key": server.secret_key,
                **changed,
            }
        )
        made.append(
            MinioStorage(PluginArgs("test", "", Path("/nowhere"), {MinioSettings: settings}))
        )
        return made[-1]

    yield make
    for one in made:
        one.close()
