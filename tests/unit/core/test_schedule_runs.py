"""What a scheduler does about the runs and containers of all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.core.schedule_samples import SLOT, run
from the0.core.schedule_plan import Scheduler
from the0.core.schedule_runs import ActiveRuns
from the0.models import BotType, Container, ContainerState, Outcome, Run

ME = Scheduler("me", "here")


class World:
    """The tools of a scheduler, with one run that MongoDB knows."""

    def __init__(self, known: Run) -> None:
        self.known = known
        self.removed: list[str] = []
        self.repository = SimpleNamespace(get_run=self._get_run)
        self.ends = SimpleNamespace(throw_away=self._throw_away)

    def now(self) -> Any:
        return SLOT

    async def _get_run(self, run_id: str) -> Run | None:
        return self.known if run_id == self.known.id else None

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
