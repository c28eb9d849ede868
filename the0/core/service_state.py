"""ServiceState: every bot as the runner sees it, with metrics over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from the0.models import Condition, Phase, RunningBot


class ServiceState:
    """Id -> :class:`RunningBot`. Lives in one process; the lasting part is in MongoDB."""

    def __init__(self, metrics: Metrics) -> None:
        self._bots: dict[str, RunningBot] = {}
        self._phases: dict[Phase, int] = dict.fromkeys(Phase, 0)
        self.host_conditions: Sequence[Condition] = ()
        self.since = datetime.now(UTC)
        self.metrics = metrics
        metrics.registry.register(_Phases(self))

    def __len__(self) -> int:
        return len(self._bots)

    def __iter__(self) -> Iterator[RunningBot]:
        return iter(self._bots.values())

    def get(self, bot_id: str) -> RunningBot | None:
        return self._bots.get(bot_id)

    def put(self, bot: RunningBot) -> bool:
        """Take in how a bot is now; whether anything about it changed."""
        before = self._bots.get(bot.id)
        if before == bot:
            return False
        if before:
            self._phases[before.phase] -= 1
        self._phases[bot.phase] += 1
        self._bots[bot.id] = bot
        return True

    def remove(self, bot_id: str) -> None:
        if before := self._bots.pop(bot_id, None):
            self._phases[before.phase] -= 1

    def count(self, phase: Phase) -> int:
        return self._phases[phase]


class Metrics:
    """What `GET /metrics` shows of a runner, on a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.passes = self._counter("the0_passes", "Passes over all bots.")
        self.pass_failures = self._counter(
            "the0_pass_failures", "Passes that learnt nothing because a dependency did not answer."
        )
        self.pass_seconds = self._histogram("the0_pass_seconds", "Time of one pass.")
        self.last_pass = Gauge(
            "the0_last_pass_timestamp_seconds", "When the last pass ended.", registry=self.registry
        )
        self.starts = self._counter("the0_container_starts", "Containers started.")
        self.start_failures = self._counter(
            "the0_container_start_failures", "Containers that the engine refused to start."
        )
        self.start_seconds = self._histogram(
            "the0_container_start_seconds", "Time to create and start a container."
        )
        self.exits = Counter(
            "the0_container_exits",
            "Containers that ended, by who asked for it.",
            ["asked_by"],
            registry=self.registry,
        )

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, registry=self.registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, registry=self.registry)


class _Phases(Collector):
    """Bots by phase, counted when asked for."""

    def __init__(self, state: ServiceState) -> None:
        self._state = state

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily("the0_bots", "Bots by phase.", labels=["phase"])
        for phase in Phase:
            family.add_metric([phase.value], self._state.count(phase))
        yield family
