"""The decisions in random worlds, which must converge without twins."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.unit.core.plan_samples import (
    AROUND,
    BACKOFF,
    HOLD,
    NEW,
    NOW,
    PASSING,
    RUNNING,
    bot,
    container,
)
from the0.core.plan import (
    UNKNOWN,
    Absence,
    Action,
    Do,
    Hold,
    Invalid,
    Seen,
    Wanted,
    decide,
    is_start,
)
from the0.core.tracked import (
    FLUSH_SPEC,
    Attempt,
    Tracked,
    after_disabled,
    after_exit,
    after_flush,
    after_start,
)
from the0.models import (
    Bot,
    Container,
    ContainerState,
    ExitRecord,
)


@dataclass
class World:
    """One bot, its document, and an engine that does what it is told."""

    wanted: Wanted = Absence.MISSING
    containers: list[Container] = field(default_factory=list)
    tracked: Tracked = NEW
    now: datetime = NOW
    hold: Hold | None = None
    answers: bool = True
    serial: int = 0
    volume: bool = False

    def decide(self) -> Action:
        seen: Seen = tuple(self.containers) if self.answers else UNKNOWN
        around = replace(AROUND, hold=self.hold)
        return decide(self.wanted, seen, self.tracked, self.now, around)

    def carry_out(self, action: Action) -> None:
        if is_start(action):
            assert self.answers, "a start on an engine that gave no answer"
        getattr(self, f"do_{action.do.value}")(action)

    def do_nothing(self, action: Action) -> None:
        if isinstance(self.wanted, Bot) and not self.wanted.enabled:
            self.tracked = after_disabled(self.tracked)

    def do_start(self, _: Action) -> None:
        assert isinstance(self.wanted, Bot)
        self._run(self.wanted.spec_hash)
        self.tracked = after_start(self.tracked, self.wanted, self.containers[-1].launch)
        self.volume = True

    def do_flush(self, _: Action) -> None:
        self._run(FLUSH_SPEC)
        self.tracked = replace(self.tracked, launch=self.containers[-1].launch)

    def _run(self, spec: str) -> None:
        assert not self.containers, "a second container of one bot"
        self.serial += 1
        self.containers.append(
            container(
                RUNNING,
                spec,
                ref=f"c{self.serial}",
                launch=f"l{self.serial}",
                created_at=self.now,
            )
        )

    def do_resume(self, action: Action) -> None:
        assert isinstance(self.wanted, Bot)
        self._set(action, RUNNING)
        self.tracked = after_start(self.tracked, self.wanted, self.containers[0].launch)

    def do_stop(self, action: Action) -> None:
        self._set(action, ContainerState.EXITED)

    def do_unpause(self, action: Action) -> None:
        self._set(action, RUNNING)

    def _set(self, action: Action, state: ContainerState) -> None:
        assert action.container is not None
        self._drop(action)
        self.containers.append(replace(action.container, state=state))

    def _drop(self, action: Action) -> None:
        assert action.container is not None
        self.containers = [one for one in self.containers if one.ref != action.container.ref]

    def do_discard(self, action: Action) -> None:
        self._drop(action)

    def do_collect(self, action: Action) -> None:
        assert action.container is not None
        self._drop(action)
        self._ended(action.container.spec_hash, action.asked_by)

    def do_lost(self, _: Action) -> None:
        spec = self.wanted.spec_hash if isinstance(self.wanted, Bot) else ""
        self._ended(spec, "")

    def _ended(self, spec: str, asked_by: str) -> None:
        attempt = Attempt("b", spec, self.now)
        if spec == FLUSH_SPEC:
            self.tracked = after_flush(self.tracked, attempt, True, BACKOFF)
            return
        record = ExitRecord("l", self.now, 1, "exited", asked_by, spec_hash=spec)
        self.tracked = after_exit(self.tracked, attempt, record, BACKOFF, 5)

    def do_forget(self, _: Action) -> None:
        kept = self.tracked.unsaved and not self.tracked.purge
        assert not kept, "a volume with something unsaved was removed"
        self.tracked, self.volume = Tracked(), False


class RandomWorlds(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @rule(version=st.sampled_from("123"), enabled=st.booleans())
    def document(self, version: str, enabled: bool) -> None:
        self.world.wanted = bot(version, enabled)

    @rule(wanted=st.sampled_from([Absence.MISSING, Absence.UNKNOWN, Invalid("b", "broken")]))
    def no_document(self, wanted: Wanted) -> None:
        self.world.wanted = wanted

    @precondition(lambda self: self.world.wanted is Absence.MISSING)
    @rule()
    def purge(self) -> None:
        self.world.tracked = replace(self.world.tracked, purge=True, unsaved=False)

    @rule(answers=st.booleans())
    def engine(self, answers: bool) -> None:
        self.world.answers = answers

    @rule(held=st.booleans())
    def dependency(self, held: bool) -> None:
        self.world.hold = HOLD if held else None

    @rule(seconds=st.integers(1, 1000))
    def time_passes(self, seconds: int) -> None:
        self.world.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.world.containers)
    @rule(state=st.sampled_from(list(ContainerState)))
    def container_changes(self, state: ContainerState) -> None:
        self.world.containers = [replace(one, state=state) for one in self.world.containers]

    @precondition(lambda self: self.world.containers)
    @rule()
    def container_vanishes(self) -> None:
        self.world.containers = []

    @rule()
    def look(self) -> None:
        before = [one.ref for one in self.world.containers]
        wanted = self.world.wanted
        action = self.world.decide()
        running = [
            one
            for one in self.world.containers
            if one.state is RUNNING and one.spec_hash != FLUSH_SPEC
        ]
        if action.do is Do.STOP and wanted is Absence.UNKNOWN:
            raise AssertionError(f"stopped {before} for want of knowledge")
        if isinstance(wanted, Invalid) and running and not self.world.tracked.purge:
            assert action.do is not Do.STOP
        if action.do is Do.STOP and self.world.hold and isinstance(wanted, Bot):
            assert not wanted.enabled, "stopped while it could not be started again"
        self.world.carry_out(action)

    @rule()
    def settle(self) -> None:
        """Everything answers and time passes: the world becomes as it is wanted."""
        world = self.world
        world.answers, world.hold = True, None
        world.containers = [
            replace(one, state=ContainerState.EXITED)
            if one.state in (ContainerState.UNKNOWN, *PASSING)
            else one
            for one in world.containers
        ]
        for _ in range(12):
            world.now += timedelta(seconds=400)
            world.carry_out(world.decide())
            if world.containers and world.containers[0].spec_hash == FLUSH_SPEC:
                world.containers = [replace(world.containers[0], state=ContainerState.EXITED)]
        running = [one.spec_hash for one in world.containers if one.state is RUNNING]
        if isinstance(world.wanted, Bot):
            expected = [world.wanted.spec_hash] if world.wanted.enabled else []
            assert running == expected
            assert not world.tracked.purge, "what was to go is still there"
        if world.wanted is Absence.MISSING:
            assert (world.containers, world.volume) == ([], False)

    @invariant()
    def never_twins(self) -> None:
        assert len(self.world.containers) <= 1


TestRandomWorlds = RandomWorlds.TestCase
TestRandomWorlds.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
