"""What becomes of runs: outcomes, further attempts, streaks, leases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.schedule_samples import SLOT, bot, run
from the0.core.schedule_leases import LeaseWatch
from the0.core.schedule_plan import (
    NOT_BEGUN,
    TIMED_OUT,
    Ending,
    Scheduler,
    cannot_begin,
    ended_run,
    failures_in_a_row,
    new_run,
    next_attempt,
    unstarted,
)
from the0.core.schedule_times import run_id
from the0.launches import LaunchStatus, ReportedCondition
from the0.models import ExitRecord, Outcome, Run, Trigger

ME = Scheduler("me", "here")
END = SLOT + timedelta(seconds=9)
STATUS = LaunchStatus(
    "ended", (ReportedCondition("CodeUnavailable", True, "NotFound", "no such archive"),)
)


def ending(
    code: int | None = 0, reason: str = "exited", asked: str = "", **changed: object
) -> Ending:
    exit_ = ExitRecord("1" * 32, END, code, reason, log_tail=("last",), **changed)  # type: ignore[arg-type]  # by name
    return Ending(exit_, STATUS, b'{"status": "success"}', asked, SLOT)


@pytest.mark.parametrize(
    ("how", "outcome", "reason"),
    [
        (ending(), Outcome.SUCCEEDED, ""),
        (ending(3), Outcome.FAILED, "it ended with 3"),
        (ending(137, signal=9), Outcome.FAILED, "signal 9 ended it"),
        (ending(137, oom_killed=True), Outcome.FAILED, "it needed more memory than it may have"),
        (ending(0, "disk"), Outcome.FAILED, "it used more disk than it may"),
        (ending(None, "platform"), Outcome.FAILED, "no such archive"),
        (
            ending(143, "stopped", TIMED_OUT),
            Outcome.TIMED_OUT,
            "it took longer than its timeout_sec",
        ),
        (ending(None, "stopped", NOT_BEGUN), Outcome.FAILED, "no such archive"),
        (ending(143, "stopped", "a person"), Outcome.CANCELLED, "a person"),
        (ending(0, "stopped", "a person"), Outcome.CANCELLED, "a person"),
    ],
)
def test_the_outcome_of_a_container_that_ended(how: Ending, outcome: Outcome, reason: str) -> None:
    record = ended_run(run(), how)
    assert (record.outcome, record.reason) == (outcome, reason)
    assert (record.started, record.ended) == (SLOT, END)
    assert record.result == {"status": "success"}
    assert record.log_tail == (() if outcome is Outcome.SUCCEEDED else ("last",))
    assert [one.type for one in record.conditions] == ["CodeUnavailable"]


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff", b'{"\\ud800": 1}', b"[" * 10**5])
def test_a_result_that_cannot_be_kept_is_none(content: bytes | None) -> None:
    how = ending()
    record = ended_run(run(), Ending(how.exit, None, content, "", None))
    assert record.result is None
    assert record.outcome is Outcome.SUCCEEDED


@given(st.integers(0, 5), st.sampled_from(Outcome), st.integers(1, 6))
def test_only_failures_are_tried_again_and_so_often(
    retries: int, outcome: Outcome, attempt: int
) -> None:
    ended = unstarted(run(retries=retries, attempt=attempt), outcome, "because", END)
    follower = next_attempt(ended, 10.0)
    again = outcome in (Outcome.FAILED, Outcome.TIMED_OUT) and attempt <= retries
    assert (follower is not None) == again
    if follower:
        assert follower.id == run_id("a", SLOT, attempt + 1)
        assert (follower.slot, follower.attempt) == (SLOT, attempt + 1)
        assert follower.due == END + timedelta(seconds=10)
        assert follower.deadline - follower.due == timedelta(minutes=5)
        assert follower.trigger is Trigger.RETRY
        fresh = run(id=follower.id, attempt=attempt + 1, retries=retries, trigger=Trigger.RETRY)
        untouched = {"due", "deadline", "claimed"}
        assert {
            k: v for k, v in vars(follower).items() if k not in untouched | {"lease_until"}
        } == {k: v for k, v in vars(fresh).items() if k not in untouched | {"lease_until"}}


def test_a_run_that_cannot_begin_is_not_waited_for() -> None:
    conflict = LaunchStatus("restoring", (ReportedCondition("StateConflict", True, "", ""),))
    over = LaunchStatus("running", (ReportedCondition("StateConflict", False, "", ""),))
    before, after = run().deadline, run().deadline + timedelta(seconds=1)
    assert cannot_begin(run(), conflict, before)
    assert not cannot_begin(run(), over, after)
    for status in (None, LaunchStatus("fetching"), LaunchStatus("restoring")):
        assert not cannot_begin(run(), status, before)
        assert cannot_begin(run(), status, after)
    for phase in ("running", "stopping", "syncing", "ended"):
        assert not cannot_begin(run(), LaunchStatus(phase), after)


def test_a_run_that_somebody_asked_for_is_due_at_once_and_tried_once() -> None:
    wanted = bot(jitter_sec=60.0, retries=3)
    by_slot = new_run(wanted, SLOT, ME, END, Trigger.SCHEDULE)
    by_hand = new_run(wanted, SLOT, ME, END, Trigger.MANUAL)
    assert SLOT < by_slot.due < SLOT + timedelta(seconds=60)
    assert (by_slot.retries, by_slot.deadline - by_slot.due) == (3, timedelta(minutes=5))
    assert (by_hand.due, by_hand.retries) == (SLOT, 0)


def test_failures_in_a_row_leave_out_what_never_started() -> None:
    def ended(*outcomes: Outcome | None) -> list[Run]:
        return [run(outcome=one) for one in outcomes]

    failed, ok = Outcome.FAILED, Outcome.SUCCEEDED
    assert failures_in_a_row(ended(failed, Outcome.SKIPPED, Outcome.TIMED_OUT, ok, failed)) == 2
    assert failures_in_a_row(ended(None, failed, Outcome.LOST)) == 2
    assert failures_in_a_row(ended(ok, failed)) == 0
    assert failures_in_a_row(ended(failed, Outcome.CANCELLED, failed)) == 1


def test_a_lease_lapses_when_it_stands_still_for_its_length() -> None:
    watch = LeaseWatch("me", 15.0)
    theirs = run(owner="they")
    assert watch.lapsed([theirs, run(id="2" * 32)], 100.0) == []
    assert watch.lapsed([theirs], 114.9) == []
    assert watch.lapsed([theirs], 115.0) == [theirs]


def test_a_lease_that_was_renewed_or_not_seen_begins_anew() -> None:
    watch = LeaseWatch("me", 15.0)
    theirs = run(owner="they")
    renewed = run(owner="they", lease_until=SLOT + timedelta(hours=-1))
    watch.lapsed([theirs], 100.0)
    assert watch.lapsed([renewed], 116.0) == []
    watch.blink()
    assert watch.lapsed([renewed], 132.0) == []
    assert watch.lapsed([renewed], 147.0) == [renewed]


def test_a_lease_that_was_given_back_has_lapsed_at_once() -> None:
    free = run(owner="", lease_until=None)
    assert LeaseWatch("me", 15.0).lapsed([free], 100.0) == [free]
