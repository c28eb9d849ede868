"""Looks at the engine: shared, never older than the question, and UNKNOWN without an answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest

from the0.core.engine import Engine
from the0.core.plan import UNKNOWN
from the0.errors import NotFound, Unavailable
from the0.models import (
    BotType,
    Container,
    ContainerAction,
    ContainerEvent,
    ContainerState,
    Purpose,
)
from the0.plugin.interfaces import EngineInfo

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUNNING = Container("r", "n", "b", BotType.REALTIME, ContainerState.RUNNING)
DIED = ContainerEvent(ContainerAction.DIED, "b", "r", NOW)


class Docker:
    """An engine with one container, which may be slow, away, or late with its list."""

    def __init__(self) -> None:
        self.containers = [RUNNING]
        self.lists = 0
        self.away = False
        self.keeps = False
        self.gate = threading.Event()
        self.gate.set()
        self.events_to_give: list[ContainerEvent] = []

    def list(self) -> list[Container]:
        self.lists += 1
        found = list(self.containers)
        self.gate.wait(10)
        if self.away:
            raise Unavailable("away")
        return found

    def info(self) -> EngineInfo:
        return EngineInfo("e", "1", self.keeps)

    def inspect(self, ref: str) -> Container:
        return replace(RUNNING, state=ContainerState.EXITED, exit_code=1)

    def events(self, stop: threading.Event) -> Iterator[ContainerEvent]:
        yield from self.events_to_give
        self.events_to_give = []
        stop.wait(10)


@pytest.fixture
def docker() -> Docker:
    return Docker()


@pytest.fixture
def engine(docker: Docker) -> Iterator[Engine]:
    found: Any = docker
    made = Engine(found, 5.0)
    yield made
    made.close()


async def test_who_asks_meanwhile_shares_a_look_that_began_after_the_question(
    docker: Docker, engine: Engine
) -> None:
    docker.gate.clear()
    first = asyncio.create_task(engine.look())
    while docker.lists == 0:  # noqa: ASYNC110 - it is counted in a thread
        await asyncio.sleep(0.001)
    docker.containers = []
    later = [asyncio.create_task(engine.look()) for _ in range(10)]
    await asyncio.sleep(0)
    docker.gate.set()
    assert await first == {"b": [RUNNING]}
    assert await asyncio.gather(*later) == [{}] * 10
    assert docker.lists == 2


async def test_no_answer_is_unknown_and_its_end_an_outage(docker: Docker, engine: Engine) -> None:
    await engine.look()
    assert engine.outage
    assert not engine.outage.witnessed
    docker.away = True
    assert await engine.look() is UNKNOWN
    assert await engine.look_at("b") is UNKNOWN
    assert engine.fault == "away"
    docker.away = False
    await engine.look()
    assert engine.outage.witnessed
    assert engine.fault == ""


async def test_an_engine_that_keeps_its_containers_explains_no_exit(
    docker: Docker, engine: Engine
) -> None:
    docker.keeps = True
    docker.away = True
    await engine.look()
    docker.away = False
    await engine.look()
    assert engine.outage is None


async def test_a_death_is_inspected_though_the_list_still_shows_it_running(
    docker: Docker, engine: Engine
) -> None:
    assert await engine.look_at("b") == [RUNNING]
    docker.events_to_give = [DIED]
    happened: asyncio.Queue[ContainerEvent] = asyncio.Queue()
    engine.start_events(happened.put_nowait, Mock())
    assert await happened.get() == DIED
    (seen,) = await engine.look_at("b")
    assert seen.state is ContainerState.EXITED
    docker.inspect = Mock(side_effect=NotFound("gone"))  # type: ignore[method-assign]
    assert await engine.look_at("b") == []


async def test_scheduled_bots_are_somebody_elses(docker: Docker, engine: Engine) -> None:
    docker.containers = [replace(RUNNING, type=BotType.SCHEDULED)]
    assert await engine.look() == {}


async def test_a_container_that_answers_a_query_belongs_to_no_bot(
    docker: Docker, engine: Engine
) -> None:
    docker.containers = [RUNNING, replace(RUNNING, ref="q", bot_id="", purpose=Purpose.QUERY)]
    assert await engine.look() == {"b": [RUNNING]}
