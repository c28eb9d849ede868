"""What `GET /metrics` shows of a gateway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter

from the0.errors import The0Error


class GatewayMetrics:
    """Counts since the process began, on a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.log_posts = self._counter("the0_log_posts", "Batches of log lines that were taken.")
        self.log_lines = self._counter("the0_log_lines", "Log lines that were new.")
        self.state_uploads = self._counter("the0_state_uploads", "Snapshots that were stored.")
        self.state_bytes = self._counter("the0_state_upload_bytes", "Bytes of these snapshots.")
        self._refusals = Counter(
            "the0_gateway_refusals",
            "Requests of containers that were refused, by the code of the error.",
            ["code"],
            registry=self.registry,
        )

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Count what the block refuses."""
        try:
            yield
        except The0Error as error:
            self._refusals.labels(error.code).inc()
            raise

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, registry=self.registry)
