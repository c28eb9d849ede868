"""Why a container ended, put together from what the engine and the agent say. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from the0.core.tracked import DISK, KILLED, LOST, PLATFORM
from the0.launches import LaunchExit, LaunchStatus
from the0.models import Container, ExitRecord

EXITED = "exited"
LINE_CHARS = 500
TAIL_LINES = 200

_KILLED_CODES = frozenset({137, 255})


def exit_record(
    container: Container,
    status: LaunchStatus | None,
    tail: Sequence[str],
    asked_by: str,
    now: datetime,
) -> ExitRecord:
    """The record of a container that ended. What the agent said of its bot counts first; the
    container's own exit code stands in where the agent could not say anything any more."""
    reported = status.exit if status else None
    return ExitRecord(
        launch=container.launch,
        at=container.finished_at or now,
        code=_code(reported, container),
        reason=_reason(reported, container),
        asked_by=DISK if reported and reported.reason == DISK else asked_by,
        signal=_signal(reported, container),
        oom_killed=container.oom_killed,
        peak_memory_bytes=reported.peak_memory_bytes if reported else None,
        spec_hash=container.spec_hash,
        log_tail=tuple(line[:LINE_CHARS] for line in tail[-TAIL_LINES:]),
    )


def lost_record(launch: str, status: LaunchStatus | None, spec: str, now: datetime) -> ExitRecord:
    """The record of a container that was removed behind our back."""
    reported = status.exit if status else None
    return ExitRecord(
        launch=launch,
        at=now,
        code=None,
        reason=LOST,
        peak_memory_bytes=reported.peak_memory_bytes if reported else None,
        spec_hash=spec,
    )


def began(container: Container) -> datetime | None:
    """When it was started: a list of containers only tells when it was created, a moment before."""
    return container.started_at or container.created_at


def ran_for(container: Container, now: datetime) -> float:
    """Seconds between the container's start and its end (now, while it runs)."""
    since = began(container)
    return max(0.0, ((container.finished_at or now) - since).total_seconds()) if since else 0.0


def left_unsaved(status: LaunchStatus | None) -> bool:
    """Whether the volume may hold what the store has not: unless the agent said otherwise."""
    return not (status and status.exit and status.exit.state_saved)


def _code(reported: LaunchExit | None, container: Container) -> int | None:
    if reported is None:
        return container.exit_code
    if reported.reason == PLATFORM:
        return None
    return 128 + reported.signal if reported.signal else reported.code


def _reason(reported: LaunchExit | None, container: Container) -> str:
    if reported:
        return reported.reason
    return KILLED if container.exit_code in _KILLED_CODES else EXITED


def _signal(reported: LaunchExit | None, container: Container) -> int | None:
    if reported:
        return reported.signal
    code = container.exit_code
    return code - 128 if code is not None and 128 < code < 128 + 65 else None
