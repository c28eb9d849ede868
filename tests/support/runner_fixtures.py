"""Fixtures of the tests of a whole runner; a conftest.py imports those that its tests use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faults import LEDGER
from tests.support.runner import (
    COUNTER,
    Installation,
    Services,
    make_image,
    running_services,
)


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """One set of servers for all tests."""
    with running_services(tmp_path_factory.mktemp("services")) as running:
        yield running


@pytest.fixture
def site(instance: str, services: Services, tmp_path: Path) -> Iterator[Installation]:
    """An installation without a host; its store has the code of `counter` and `ledger`."""
    root = tmp_path / "s"
    root.mkdir()
    installation = Installation(instance, services, root)
    # Named, so that a source edited while the tests run does not ask for another image.
    installation.settings["RUNTIME_IMAGE"] = make_image(installation.environ)
    installation.empty_store()
    installation.upload("counter", COUNTER)
    installation.upload("ledger", LEDGER)
    yield installation
    print(installation.log() if installation.hosts else "")
    installation.clear()
