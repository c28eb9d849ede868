from __future__ import annotations

from collections.abc import Callable

import pytest

from the0.plugin import Storage
from the0.testing.servers import free_port
from the0.testing.storage import StorageConformance


class TestMinioStorage(StorageConformance):
    @pytest.fixture(autouse=True)
    def _remember(self, make_storage: Callable[..., Storage]) -> None:
        self.make = make_storage

    @pytest.fixture
    def storage(self, make_storage: Callable[..., Storage]) -> Storage:
        return make_storage()

    def make_unreachable(self) -> Storage:
        return self.make(endpoint=f"127.0.0.1:{free_port()}")
