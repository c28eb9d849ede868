"""Bots, containers and circumstances that the tests of the plan share."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from the0.core.backoff import Backoff
from the0.core.plan import Circumstances, Hold
from the0.core.tracked import Tracked
from the0.models import Bot, BotType, Container, ContainerState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BACKOFF = Backoff(initial=1, longest=300, healthy_after=600)
AROUND = Circumstances(BACKOFF, platform="p1")
NEW = Tracked()
HOLD = Hold("StorageUnavailable", "NoAnswer", "storage does not answer")


def bot(version: str = "1", enabled: bool = True, **more: object) -> Bot:
    base = Bot(
        id="b",
        type=BotType.REALTIME,
        enabled=enabled,
        config={"v": version},
        name="b",
        version=version,
        runtime="python3.11",
        code_key="k",
        entrypoints={"bot": "main.py"},
    )
    return replace(base, **more)


def container(state: ContainerState, spec: str | None = None, **more: object) -> Container:
    base = Container(
        ref="c1",
        name="n",
        bot_id="b",
        type=BotType.REALTIME,
        state=state,
        launch="l1",
        spec_hash=bot().spec_hash if spec is None else spec,
        platform_hash="p1",
        created_at=NOW,
    )
    return replace(base, **more)


RUNNING, CREATED, PAUSED = (
    ContainerState.RUNNING,
    ContainerState.CREATED,
    ContainerState.PAUSED,
)
ENDED = [ContainerState.EXITED, ContainerState.DEAD]
PASSING = [ContainerState.UNKNOWN, ContainerState.RESTARTING, ContainerState.REMOVING]
