"""What a run makes of an engine that ends a create after nobody waited for it any more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.core.schedule_samples import SLOT, bot, run
from the0.core import schedule_start
from the0.core.runtimes import Ready
from the0.core.schedule_course import Course
from the0.core.schedule_gate import StartGate
from the0.core.schedule_start import Starter
from the0.errors import Conflict, Unavailable
from the0.models import BotType, Container, ContainerState, Run


class SlowEngine:
    """Gives no answer to the first create, and has its container only after the next look."""

    fault = ""

    def __init__(self) -> None:
        self.executor = SimpleNamespace(create="create", start="start")
        self.containers: list[Container] = []
        self.started: list[str] = []
        self._creates = 0

    async def call(self, what: str, asked: Any) -> Any:
        if what == "start":
            self.started.append(asked)
            return None
        self._creates += 1
        if self._creates == 1:
            raise Unavailable("The container engine did not answer within 60 s")
        if self._creates == 2:
            self.containers.append(created("late", asked))
            raise Conflict("the name is taken")
        return created("new", asked)

    async def look_at(self, bot_id: str) -> list[Container]:
        return list(self.containers)


class Records:
    """MongoDB and the end of runs, as far as a start needs them."""

    def __init__(self, containers: list[Container]) -> None:
        self.containers = containers
        self.ended: list[Run] = []

    async def claim_run(self, run: Run) -> bool:
        return True

    async def hold_run(self, run: Run) -> bool:
        return True

    async def get_run(self, run_id: str) -> Run:
        return run(id=run_id)

    async def record_unstarted(self, run: Run, *, claimed: bool) -> bool:
        self.ended.append(run)
        return True

    async def throw_away(self, container: Container) -> None:
        self.containers.remove(container)


def created(ref: str, run_id: str) -> Container:
    return Container(
        ref=ref,
        name="n",
        bot_id="a",
        type=BotType.SCHEDULED,
        state=ContainerState.CREATED,
        run=run_id,
    )


def tools_of(engine: SlowEngine, records: Records) -> Any:
    async def current(_: str) -> Any:
        return bot()

    async def done(*_: Any) -> None:
        return

    def prepare(*about: Any) -> Any:
        launch = SimpleNamespace(launch="l", bot_id="a", document={"state": {"keep": None}})
        return SimpleNamespace(launch=launch, spec=about[-1])

    runtime: Any = SimpleNamespace(processes=lambda _: None)
    noted = SimpleNamespace(inc=lambda: None, observe=lambda _: None)
    return SimpleNamespace(
        engine=engine,
        repository=records,
        ends=records,
        gate=StartGate(1),
        files=SimpleNamespace(call=done),
        launches=SimpleNamespace(write=None, remove=None, supersede=None),
        launcher=SimpleNamespace(prepare=prepare),
        runtimes=SimpleNamespace(get=lambda _: Ready(runtime, "image", "platform")),
        metrics=SimpleNamespace(claims_lost=noted, lag=noted),
        lease_sec=15.0,
        current=current,
        hold=lambda: None,
        state_keep=lambda _: None,
        leased=lambda: 0.0,
        now=lambda: SLOT,
    )


async def test_a_run_is_not_skipped_for_a_create_of_its_own_that_came_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schedule_start, "RETRY_SEC", 0.0)
    engine = SlowEngine()
    records = Records(engine.containers)
    found = await Starter(tools_of(engine, records), Course(run(), bot()), lambda: None).start()
    assert records.ended == []
    assert found is not None
    assert engine.started == [found.ref] == ["new"]
    assert engine.containers == []
