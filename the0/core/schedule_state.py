"""What a scheduler shows of itself: metrics over all runs."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LAG_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)


class ScheduleMetrics:
    """What `GET /metrics` shows of a scheduler, on a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.lag = Histogram(
            "the0_schedule_lag_seconds",
            "From a run's due time to the call that creates its container.",
            registry=self.registry,
            buckets=LAG_BUCKETS,
        )
        self.outcomes = Counter(
            "the0_runs", "Runs that were recorded, by outcome.", ["outcome"], registry=self.registry
        )
        self.claims_lost = Counter(
            "the0_claims_lost",
            "Slots that another scheduler had claimed first.",
            registry=self.registry,
        )
        self.takeovers = Counter(
            "the0_run_takeovers", "Runs taken over from other schedulers.", registry=self.registry
        )
        self.failing = Counter(
            "the0_schedule_failing_warnings",
            "Warnings that a bot failed too often in a row.",
            registry=self.registry,
        )
        self.schedules = Gauge(
            "the0_schedules", "Schedules that are armed.", registry=self.registry
        )
        self.active = Gauge(
            "the0_runs_active", "Runs that this scheduler looks after.", registry=self.registry
        )
        self.last_read = Gauge(
            "the0_last_read_timestamp_seconds",
            "When all schedules were last read.",
            registry=self.registry,
        )
