"""The decisions, each rule by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.core.plan_samples import (
    AROUND,
    CREATED,
    ENDED,
    HOLD,
    NEW,
    NOW,
    PASSING,
    PAUSED,
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
)
from the0.core.tracked import (
    FLUSH_SPEC,
    Tracked,
    ended_by_policy,
)
from the0.models import (
    Condition,
    ContainerState,
    ExitRecord,
    Phase,
    RestartPolicy,
)


def step(wanted: Wanted, seen: Seen, tracked: Tracked = NEW, **around: object) -> Action:
    return decide(wanted, seen, tracked, NOW, replace(AROUND, **around))


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


def test_what_is_to_be_purged_goes_before_a_bot_made_anew_is_started() -> None:
    purged = replace(NEW, purge=True, unsaved=True)
    stopped = step(bot(), (container(RUNNING),), purged)
    assert (stopped.do, stopped.asked_by) == (Do.STOP, "deleted")
    for wanted in (bot(), bot(enabled=False), Absence.MISSING):
        assert step(wanted, (), purged).do is Do.FORGET
    assert step(Absence.UNKNOWN, (), purged).do is Do.NOTHING


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
