"""Embedded servers, quick to start, for tests that need no containers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
