"""What a scheduler does about the runs and containers of all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.core.schedule_samples import SLOT, bot, run
from the0.core.plan import Hold
from the0.core.schedule_plan import Scheduler
from the0.core.schedule_runs import ActiveRuns
from the0.models import BotType, Container, ContainerState, Outcome, Run

ME = Scheduler("me", "here")


class World:
    """The tools of a scheduler, with one run that MongoDB knows."""

    def __init__(self, known: Run) -> None:
        self.known = known
        self.removed: list[str] = []
        self.handed_over: list[Run] = []
        self.repository = SimpleNamespace(
            get_run=self._get_run, record_runs=self._record, release_leases=self._release
        )
        self.ends = SimpleNamespace(throw_away=self._throw_away)

    def hold(self) -> Hold:
        return Hold("EngineAway", "NoAnswer", "the engine is away")

    def now(self) -> Any:
        return SLOT

    async def _get_run(self, run_id: str) -> Run | None:
        return self.known if run_id == self.known.id else None

    async def _record(self, runs: Sequence[Run]) -> int:
        self.handed_over += runs
        return len(runs)

    async def _release(self, owner: str) -> None:
        assert owner == ME.owner

    async def _throw_away(self, container: Container) -> None:
        self.removed.append(container.run)


def container(state: ContainerState) -> Container:
    return Container(
        ref="r", name="n", bot_id="a", type=BotType.SCHEDULED, state=state, run=run().id
    )


@pytest.mark.parametrize("state", ContainerState)
@pytest.mark.parametrize("outcome", [None, Outcome.MISSED])
async def test_what_was_created_for_a_run_that_ended_is_cleared_away(
    state: ContainerState, outcome: Outcome | None
) -> None:
    world: Any = World(run(outcome=outcome))
    await ActiveRuns(ME, 15.0, lambda _: world).sweep([container(state)])
    stands = state in (ContainerState.CREATED, ContainerState.EXITED, ContainerState.DEAD)
    assert world.removed == ([run().id] if stands and outcome else [])


async def test_who_ends_hands_over_what_is_due_and_nobody_has_claimed() -> None:
    world: Any = World(run())
    runs = ActiveRuns(ME, 15.0, lambda _: world)
    runs.begin(run(), bot())
    runs.begin(run(id="2" * 32, bot_id="b"), bot("b"), claimed=True)
    await asyncio.sleep(0)
    await runs.close(1.0)
    assert world.handed_over == [run(owner="", lease_until=None)]
