"""A bot as it is shown: document, container, agent's words and memory put together. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from the0.core.exits import began
from the0.core.plan import RUNTIME_MISSING, Action, Do, Invalid, Wanted, is_outdated
from the0.core.tracked import START_FAILED, Tracked, merged, without
from the0.launches import LaunchStatus
from the0.models import Bot, BotType, Condition, Container, ContainerState, Phase, RunningBot

INVALID_DOCUMENT = "InvalidDocument"
HOLDS = (
    "StorageUnavailable",
    "DiskLow",
    "NetworkNotReady",
    "ImageMissing",
    RUNTIME_MISSING,
    "EngineUnavailable",
)
OWN = frozenset({INVALID_DOCUMENT, START_FAILED, *HOLDS})
"""Conditions of the runner's own; all others are the agent's words."""

_PHASES = {
    "starting": Phase.STARTING,
    "fetching": Phase.STARTING,
    "restoring": Phase.STARTING,
    "running": Phase.RUNNING,
    "stopping": Phase.STOPPING,
    "syncing": Phase.STOPPING,
    "ended": Phase.STOPPING,
}


@dataclass(frozen=True)
class Sight:
    """All that is known of a bot at one moment."""

    id: str
    wanted: Wanted
    tracked: Tracked
    action: Action
    container: Container | None = None
    status: LaunchStatus | None = None
    platform: str = ""


def running_bot(sight: Sight) -> RunningBot:
    """The bot as `GET /status` shows it."""
    bot = sight.wanted if isinstance(sight.wanted, Bot) else None
    tracked, container = sight.tracked, sight.container
    live = container if container and container.state is ContainerState.RUNNING else None
    return RunningBot(
        id=sight.id,
        name=bot.name if bot else tracked.name or sight.id,
        type=BotType.REALTIME,
        enabled=isinstance(sight.wanted, Bot | Invalid) and sight.wanted.enabled,
        phase=_phase(sight),
        version=bot.version if bot else "",
        runtime=bot.runtime if bot else tracked.runtime,
        container=container.name if container else None,
        launch=container.launch if container else None,
        started_at=began(live) if live else None,
        restarts=tracked.restarts,
        crashes=tracked.crashes,
        next_attempt_at=sight.action.at,
        outdated=live is not None and is_outdated(live, sight.platform),
        conditions=tracked.conditions,
        last_exit=tracked.last_exit,
        exits=tracked.exits,
    )


def conditions(sight: Sight, now: datetime) -> tuple[Condition, ...]:
    """The conditions of the bot now: the runner's own as they are, and the agent's last words."""
    kept = [one for one in sight.tracked.conditions if one.type == START_FAILED]
    before = {one.type: one for one in sight.tracked.conditions}
    own = list(_own(sight, now))
    agents = _agents(sight, now)
    fresh = merged((), [*kept, *own, *agents])
    return merged((before[one.type] for one in fresh if one.type in before), fresh)


def _own(sight: Sight, now: datetime) -> Iterable[Condition]:
    if isinstance(sight.wanted, Invalid):
        yield Condition(INVALID_DOCUMENT, "NotUnderstood", sight.wanted.message, now)
    if hold := sight.action.hold:
        yield Condition(hold.type, hold.reason, hold.message, now)


def _agents(sight: Sight, now: datetime) -> list[Condition]:
    """What the agent says; while none has spoken yet, what the last one said."""
    if sight.status is None:
        return list(without(sight.tracked.conditions, *OWN))
    return said(sight.status, now)


def said(status: LaunchStatus, now: datetime) -> list[Condition]:
    """An agent's conditions as ours."""
    found = status.conditions
    return [Condition(one.type, one.reason, one.message, now, one.status) for one in found]


def after_last_words(tracked: Tracked, status: LaunchStatus | None, now: datetime) -> Tracked:
    """With the conditions that the agent left when it ended; they hold until another speaks."""
    if status is None:
        return tracked
    own = [one for one in tracked.conditions if one.type in OWN]
    words = said(status, now)
    named = {one.type for one in words}
    before = [one for one in tracked.conditions if one.type in named]
    return replace(tracked, conditions=(*own, *merged(before, words)))


def _phase(sight: Sight) -> Phase:
    action, container = sight.action, sight.container
    settled = action.do is Do.NOTHING and action.phase is Phase.RUNNING
    if not settled or container is None or container.state is not ContainerState.RUNNING:
        return action.phase
    return _PHASES[sight.status.phase] if sight.status else Phase.STARTING
