"""Rules between settings: each names both. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from the0.settings import (
    LimitSettings,
    RunnerSettings,
    SchedulerSettings,
    SyncSettings,
    section_name,
)

_NOT_ABOVE = (
    (LimitSettings, "memory_mb", "max_memory_mb"),
    (LimitSettings, "cpus", "max_cpus"),
    (LimitSettings, "pids", "max_pids"),
    (LimitSettings, "disk_mb", "max_disk_mb"),
    (RunnerSettings, "backoff_initial_sec", "backoff_max_sec"),
    (SchedulerSettings, "retry_initial_sec", "retry_max_sec"),
    (SyncSettings, "min_interval_sec", "interval_sec"),
    (SyncSettings, "max_file_mb", "max_state_mb"),
)


def rule_faults(sections: Mapping[type, Any]) -> Iterable[str]:
    """The faults of values that are each allowed but do not go together."""
    for cls, lower, upper in _NOT_ABOVE:
        section = sections.get(cls)
        if section is not None and getattr(section, lower) > getattr(section, upper):
            table = section_name(cls)
            yield (
                f"{table}.{lower} = {getattr(section, lower):g} must be at most "
                f"{table}.{upper}, which is {getattr(section, upper):g}"
            )
