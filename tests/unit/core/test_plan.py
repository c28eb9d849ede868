"""The decisions: each rule by itself, then random worlds that must converge without twins."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from the0.core.backoff import Backoff
from the0.core.plan import (
    UNKNOWN,
    Absence,
    Action,
    Circumstances,
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
    ended_by_policy,
)
from the0.models import (
    Bot,
    BotType,
    Condition,
    Container,
    ContainerState,
    ExitRecord,
    Phase,
    RestartPolicy,
)

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


def step(wanted: Wanted, seen: Seen, tracked: Tracked = NEW, **around: object) -> Action:
    return decide(wanted, seen, tracked, NOW, replace(AROUND, **around))


RUNNING, CREATED, PAUSED = (
    ContainerState.RUNNING,
    ContainerState.CREATED,
    ContainerState.PAUSED,
)
ENDED = [ContainerState.EXITED, ContainerState.DEAD]
PASSING = [ContainerState.UNKNOWN, ContainerState.RESTARTING, ContainerState.REMOVING]


def test_a_wanted_bot_without_a_container_is_started() -> None:
    assert step(bot(), []).do is Do.START


def test_an_unknown_engine_decides_nothing() -> None:
    for wanted in (bot(), bot(enabled=False), Absence.MISSING, Absence.UNKNOWN):
        assert step(wanted, UNKNOWN).do is Do.NOTHING


@pytest.mark.parametrize("state", PASSING)
@pytest.mark.parametrize("wanted", [bot(), bot(enabled=False), Absence.MISSING])
def test_a_state_in_passing_is_waited_for(state: ContainerState, wanted: Wanted) -> None:
    assert step(wanted, [container(state)]).do is Do.NOTHING


@pytest.mark.parametrize("state", ENDED)
@pytest.mark.parametrize(
    "wanted", [bot(), bot(enabled=False), Absence.MISSING, Absence.UNKNOWN, Invalid("b", "x")]
)
def test_an_ended_container_is_collected_whatever_is_wanted(
    state: ContainerState, wanted: Wanted
) -> None:
    assert step(wanted, [container(state)]).do is Do.COLLECT


def test_a_running_bot_as_wanted_is_left_alone() -> None:
    assert step(bot(), [container(RUNNING)]).do is Do.NOTHING


@pytest.mark.parametrize(
    ("wanted", "asked_by"),
    [(bot("2"), "changed"), (bot(enabled=False), "disabled"), (Absence.MISSING, "deleted")],
)
def test_a_running_bot_is_stopped_for_a_reason(wanted: Wanted, asked_by: str) -> None:
    action = step(wanted, [container(RUNNING)])
    assert (action.do, action.asked_by) == (Do.STOP, asked_by)


@pytest.mark.parametrize("wanted", [bot(enabled=False), Absence.MISSING])
def test_a_hold_keeps_back_no_stop(wanted: Wanted) -> None:
    assert step(wanted, [container(RUNNING)], hold=HOLD).do is Do.STOP


def test_a_bot_that_runs_shows_that_its_runtime_is_missing_and_no_passing_outage() -> None:
    missing = Hold("RuntimeMissing", "NoPlugin", "install it")
    for hold, shown in ((missing, missing), (HOLD, None)):
        action = step(bot(), [container(RUNNING)], hold=hold)
        assert (action.do, action.phase, action.hold) == (Do.NOTHING, Phase.RUNNING, shown)


def test_a_hold_keeps_back_the_restart_of_a_changed_bot_and_says_why() -> None:
    action = step(bot("2"), [container(RUNNING)], hold=HOLD)
    assert (action.do, action.phase, action.hold) == (Do.NOTHING, Phase.RUNNING, HOLD)


def test_what_cannot_be_understood_or_is_not_known_disturbs_no_running_bot() -> None:
    assert step(Invalid("b", "broken"), [container(RUNNING)]).do is Do.NOTHING
    assert step(Absence.UNKNOWN, [container(RUNNING)]).do is Do.NOTHING
    assert step(Absence.UNKNOWN, [container(ContainerState.EXITED)]).asked_by == ""
    assert step(Invalid("b", "broken", enabled=False), [container(RUNNING)]).do is Do.STOP


def test_another_platform_restarts_nobody() -> None:
    assert step(bot(), [container(RUNNING, platform_hash="p0")]).do is Do.NOTHING


def test_a_broken_off_start_is_gone_on_with_only_as_it_would_be_made_now() -> None:
    assert step(bot(), [container(CREATED)]).do is Do.RESUME
    assert step(bot(), [container(CREATED, platform_hash="p0")]).do is Do.DISCARD
    assert step(bot("2"), [container(CREATED)]).do is Do.DISCARD
    assert step(bot(), [container(CREATED)], hold=HOLD).do is Do.DISCARD
    assert step(bot(enabled=False), [container(CREATED)]).do is Do.DISCARD
    assert step(Absence.UNKNOWN, [container(CREATED)]).do is Do.NOTHING


def test_a_paused_bot_goes_on() -> None:
    assert step(bot(), [container(PAUSED)]).do is Do.UNPAUSE
    assert step(bot(enabled=False), [container(PAUSED)]).do is Do.UNPAUSE


def test_of_two_containers_the_newest_that_runs_is_kept() -> None:
    old = container(RUNNING, ref="old", created_at=NOW - timedelta(hours=1))
    new = container(RUNNING, ref="new")
    dead = container(ContainerState.EXITED, ref="dead", created_at=NOW + timedelta(hours=1))
    action = step(bot(), [new, old])
    assert (action.do, action.container) == (Do.STOP, old)
    action = step(bot(), [dead, old])
    assert (action.do, action.container) == (Do.COLLECT, dead)


def test_a_hold_keeps_back_the_start_and_says_why() -> None:
    action = step(bot(), [], hold=HOLD)
    assert (action.do, action.phase, action.hold) == (Do.NOTHING, Phase.PENDING, HOLD)


def test_backoff_waits_for_its_time_and_only_for_the_same_spec() -> None:
    due = NOW + timedelta(seconds=5)
    waiting = Tracked(crashes=1, next_attempt_at=due, attempt_spec=bot().spec_hash)
    action = step(bot(), [], waiting)
    assert (action.do, action.phase, action.at) == (Do.NOTHING, Phase.BACKOFF, due)
    assert step(bot(), [], replace(waiting, crashes=12)).phase is Phase.FAILED
    assert step(bot("2"), [], waiting).do is Do.START
    assert decide(bot(), [], waiting, due, AROUND).do is Do.START


def test_a_spec_whose_end_was_final_stays_ended() -> None:
    ended = Tracked(ended_spec=bot().spec_hash)
    assert step(bot(), [], ended).phase is Phase.ENDED
    assert step(bot("2"), [], ended).do is Do.START


def test_a_container_that_went_without_a_trace_is_recorded_first() -> None:
    assert step(bot(), [], Tracked(launch="l1")).do is Do.LOST


def test_what_a_bot_left_unsaved_is_stored_before_it_is_forgotten() -> None:
    unsaved = Tracked(unsaved=True)
    assert step(Absence.MISSING, [], unsaved).do is Do.FLUSH
    assert step(bot(enabled=False), [], unsaved).do is Do.FLUSH
    assert step(Absence.MISSING, [], unsaved, hold=HOLD).do is Do.NOTHING
    assert step(Absence.MISSING, [], Tracked(launched=True)).do is Do.FORGET
    assert step(Absence.MISSING, [], Tracked()).do is Do.NOTHING
    flushing = container(RUNNING, spec=FLUSH_SPEC)
    assert step(Absence.MISSING, [flushing], unsaved).do is Do.NOTHING
    assert step(bot(), [flushing], unsaved).asked_by == "changed"
    stuck = replace(flushing, created_at=NOW - timedelta(hours=1))
    assert step(Absence.MISSING, [stuck], unsaved).asked_by == "host"


def test_a_persons_answer_to_a_conflict_restarts_the_waiting_bot() -> None:
    conflict = Condition("StateConflict", "BothChanged", "…", NOW)
    answered = Tracked(state_keep="local", conditions=(conflict,))
    assert step(bot(), [container(RUNNING)], answered).asked_by == "user"
    assert step(bot(), [container(RUNNING)], replace(answered, conditions=())).do is Do.NOTHING


def test_a_host_that_ends_with_its_bots_stops_all_and_starts_none() -> None:
    assert step(bot(), [container(RUNNING)], ending=True).asked_by == "host"
    assert step(bot(), [], ending=True).do is Do.NOTHING


@pytest.mark.parametrize(
    ("policy", "code", "reason", "ends"),
    [
        (RestartPolicy.ALWAYS, 0, "exited", False),
        (RestartPolicy.ON_FAILURE, 0, "exited", True),
        (RestartPolicy.ON_FAILURE, 1, "exited", False),
        (RestartPolicy.NEVER, 1, "exited", True),
        (RestartPolicy.NEVER, None, "platform", False),
    ],
)
def test_restart_policies(policy: RestartPolicy, code: int, reason: str, ends: bool) -> None:
    record = ExitRecord(launch="l", at=NOW, code=code, reason=reason)
    assert ended_by_policy(bot(restart=policy), record) is ends
    assert not ended_by_policy(bot(restart=policy), replace(record, asked_by="engine-restart"))


# --- random worlds ------------------------------------------------------------------------------


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
            container(RUNNING, spec, ref=f"c{self.serial}", launch=f"l{self.serial}")
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
        assert not self.tracked.unsaved, "a volume with something unsaved was removed"
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
        running = [one for one in self.world.containers if one.state is RUNNING]
        if action.do is Do.STOP and wanted is Absence.UNKNOWN:
            raise AssertionError(f"stopped {before} for want of knowledge")
        if isinstance(wanted, Invalid) and running:
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
        if world.wanted is Absence.MISSING:
            assert (world.containers, world.volume) == ([], False)

    @invariant()
    def never_twins(self) -> None:
        assert len(self.world.containers) <= 1


TestRandomWorlds = RandomWorlds.TestCase
TestRandomWorlds.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
