"""What `GET /metrics` shows of queries."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from the0.errors import The0Error
from the0.queries.turns import Turns

GONE = "gone"
"""In place of a status where the caller did not wait for one."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Course:
    """One query on its way: `way` is `proxied`, `ephemeral`, or `none` while nobody was asked."""

    def __init__(self) -> None:
        self.begun_ns = time.perf_counter_ns()
        self.way = "none"

    @property
    def duration_ns(self) -> int:
        return time.perf_counter_ns() - self.begun_ns


class QueryMetrics:
    """Counts and times by the way that queries took, on a registry of its own."""

    def __init__(self, turns: Mapping[str, Turns]) -> None:
        self.registry = CollectorRegistry()
        self._count = Counter(
            "the0_queries",
            "Queries, by the way they took and the HTTP status of their answer.",
            ["way", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "the0_query_seconds",
            "Time from a query to its answer, in a queue included.",
            ["way"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.registry.register(_TurnsNow(turns))

    @contextmanager
    def measured(self) -> Iterator[Course]:
        """Count what comes of one query."""
        course, status = Course(), GONE
        try:
            yield course
            status = str(HTTPStatus.OK.value)
        except The0Error as error:
            status = str(error.http_status)
            raise
        finally:
            self._count.labels(course.way, status).inc()
            self._seconds.labels(course.way).observe(course.duration_ns / 1e9)


class _TurnsNow(Collector):
    """How many queries run and wait at the moment."""

    def __init__(self, turns: Mapping[str, Turns]) -> None:
        self._turns = turns

    def collect(self) -> Iterator[GaugeMetricFamily]:
        running = GaugeMetricFamily("the0_queries_running", "Queries under way.", labels=["way"])
        waiting = GaugeMetricFamily("the0_queries_waiting", "Queries in a queue.", labels=["way"])
        for way, turns in self._turns.items():
            running.add_metric([way], turns.running)
            waiting.add_metric([way], turns.waiting)
        yield running
        yield waiting
