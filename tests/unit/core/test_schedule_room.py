"""What a run does about a container of its bot that is there already."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.core.schedule_samples import SLOT, bot, run
from the0.core.schedule_course import Course
from the0.core.schedule_room import make_room
from the0.models import BotType, Container, ContainerState, Outcome, Run

OTHER = "2" * 32


class World:
    """The tools of a run beside one container, which Docker lists in `state`."""

    def __init__(self, recorded: Run, state: ContainerState = ContainerState.RUNNING) -> None:
        self.recorded = recorded
        self.state = state
        self.ended: list[Run] = []
        self.removed: list[str] = []
        self.engine = SimpleNamespace(look_at=self._look_at, fault="")
        self.repository = SimpleNamespace(get_run=self._get_run)
        self.ends = SimpleNamespace(record_unstarted=self._record, throw_away=self._throw_away)

    def now(self) -> Any:
        return SLOT

    async def _look_at(self, bot_id: str) -> list[Container]:
        return [
            Container(
                ref="r",
                name="n",
                bot_id=bot_id,
                type=BotType.SCHEDULED,
                state=self.state,
                run=OTHER,
            )
        ]

    async def _get_run(self, run_id: str) -> Run:
        assert run_id == OTHER
        return self.recorded

    async def _record(self, run: Run, *, claimed: bool) -> bool:
        self.ended.append(run)
        return True

    async def _throw_away(self, container: Container) -> None:
        self.removed.append(container.run)


@pytest.mark.parametrize("outcome", [None, Outcome.FAILED])
async def test_a_run_whose_end_is_recorded_is_over_whatever_docker_still_lists(
    outcome: Outcome | None,
) -> None:
    world: Any = World(run(id=OTHER, outcome=outcome))
    course = Course(run(attempt=2), bot())
    again = await make_room(world, course)
    assert again == (outcome is Outcome.FAILED)
    assert [one.outcome for one in world.ended] == ([] if again else [Outcome.SKIPPED])


async def test_what_was_created_for_a_run_that_is_over_makes_room() -> None:
    world: Any = World(run(id=OTHER, outcome=Outcome.MISSED), ContainerState.CREATED)
    assert await make_room(world, Course(run(), bot()))
    assert (world.removed, world.ended) == ([OTHER], [])
