"""What is remembered of a bot: backoff, exits, outages, and its way to MongoDB and back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.core import views
from the0.core.backoff import Backoff
from the0.core.exits import exit_record, left_unsaved, lost_record, ran_for
from the0.core.status_store import StatusStore
from the0.core.tracked import (
    Attempt,
    Outage,
    Tracked,
    after_exit,
    after_healthy_while,
    after_outage,
    before_first_look,
    merged,
)
from the0.errors import Unavailable
from the0.launches import LaunchExit, LaunchStatus
from the0.models import (
    BotType,
    Condition,
    Container,
    ContainerState,
    ExitRecord,
    Phase,
    RunningBot,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BACKOFF = Backoff(initial=1, longest=300, healthy_after=600)


@given(st.text(), st.integers(1, 10_000))
def test_delays_grow_within_bounds_and_are_the_same_each_time(bot_id: str, crashes: int) -> None:
    delay = BACKOFF.delay(bot_id, crashes)
    assert delay == BACKOFF.delay(bot_id, crashes)
    assert 0.8 <= delay <= 300
    plain = min(2.0 ** min(crashes - 1, 64), 300)
    assert 0.8 * plain <= delay <= plain


def test_failed_once_the_longest_delay_is_reached() -> None:
    assert [n for n in range(1, 12) if BACKOFF.exhausted(n)] == [10, 11]


def record(**more: Any) -> ExitRecord:
    base = ExitRecord("l", NOW, 1, "exited", spec_hash="s", log_tail=("a", "b"))
    return replace(base, **more)


def ended(tracked: Tracked, ran_sec: float = 1.0, **more: Any) -> Tracked:
    attempt = Attempt("b", "s", NOW, ran_sec)
    return after_exit(tracked, attempt, record(**more), BACKOFF, keep=5)


def test_crashes_in_a_row_count_and_a_healthy_run_begins_anew() -> None:
    tracked = ended(ended(ended(Tracked())))
    assert tracked.crashes == 3
    assert ended(tracked, ran_sec=600).crashes == 1
    assert after_healthy_while(tracked, 600, BACKOFF).crashes == 0
    assert after_healthy_while(tracked, 599, BACKOFF) == tracked


def test_an_exit_somebody_asked_for_is_no_crash() -> None:
    for asked_by in ("disabled", "deleted", "changed", "user", "host", "engine-restart"):
        assert ended(Tracked(), asked_by=asked_by).crashes == 0
    assert ended(Tracked(), asked_by="disk").crashes == 1


def test_exits_are_bounded_and_only_the_last_keep_their_lines() -> None:
    tracked = Tracked()
    for number in range(8):
        tracked = ended(tracked, launch=str(number))
    assert [one.launch for one in tracked.exits] == ["3", "4", "5", "6", "7"]
    assert [bool(one.log_tail) for one in tracked.exits] == [False, False, True, True, True]


def test_an_outage_takes_back_what_it_explains_only() -> None:
    outage = Outage(NOW - timedelta(seconds=5), NOW + timedelta(seconds=5))
    killed = ended(Tracked(), reason="killed", code=137)
    taken_back = after_outage(killed, outage)
    assert (taken_back.crashes, taken_back.next_attempt_at) == (0, None)
    assert taken_back.last_exit
    assert taken_back.last_exit.asked_by == "engine-restart"
    for other in (
        ended(Tracked()),
        ended(Tracked(), reason="killed", oom_killed=True),
        ended(Tracked(), reason="killed", at=NOW - timedelta(hours=1)),
        ended(Tracked(), reason="killed", asked_by="disabled"),
        Tracked(),
    ):
        assert after_outage(other, outage) == other


def test_before_the_first_look_everything_from_outside_is_explained() -> None:
    outage = before_first_look(NOW)
    assert outage.explains(record(reason="killed", at=NOW - timedelta(days=30)))
    assert not outage.explains(record(reason="killed", at=NOW + timedelta(milliseconds=1)))
    assert not outage.witnessed


def test_a_condition_keeps_its_since_while_it_only_repeats_itself() -> None:
    old = Condition("A", "R", "1 line", NOW)
    later = NOW + timedelta(hours=1)
    (same,) = merged([old], [Condition("A", "R", "2 lines", later)])
    assert (same.since, same.message) == (NOW, "2 lines")
    (other,) = merged([old], [Condition("A", "Other", "", later)])
    assert other.since == later
    assert merged([old], [Condition("A", "R", "", later, status=False)]) == ()


# --- exit records -------------------------------------------------------------------------------


def container(**more: Any) -> Container:
    base = Container(
        ref="r",
        name="n",
        bot_id="b",
        type=BotType.REALTIME,
        state=ContainerState.EXITED,
        launch="l",
        spec_hash="s",
        created_at=NOW - timedelta(seconds=11),
        started_at=NOW - timedelta(seconds=10),
        finished_at=NOW,
        exit_code=1,
    )
    return replace(base, **more)


def status(code: int | None, signal: int | None, reason: str, saved: bool = True) -> LaunchStatus:
    return LaunchStatus("ended", (), LaunchExit(code, signal, reason, 42, saved), NOW)


@pytest.mark.parametrize(
    ("said", "exit_code", "code", "reason", "signal"),
    [
        (status(3, None, "exited"), 3, 3, "exited", None),
        (status(None, 15, "stopped"), 143, 143, "stopped", 15),
        (status(None, None, "platform"), 70, None, "platform", None),
        (status(None, 9, "disk"), 137, 137, "disk", 9),
        (None, 137, 137, "killed", 9),
        (None, 255, 255, "killed", None),
        (None, 3, 3, "exited", None),
        (None, 143, 143, "exited", 15),
    ],
)
def test_what_an_exit_is_called(
    said: LaunchStatus | None, exit_code: int, code: int | None, reason: str, signal: int | None
) -> None:
    found = exit_record(container(exit_code=exit_code), said, ["x" * 9999], "", NOW)
    assert (found.code, found.reason, found.signal) == (code, reason, signal)
    assert len(found.log_tail[0]) == 500
    assert found.asked_by == ("disk" if reason == "disk" else "")


def test_what_is_not_known_to_be_saved_is_unsaved() -> None:
    assert left_unsaved(None)
    assert left_unsaved(status(0, None, "exited", saved=False))
    assert not left_unsaved(status(0, None, "exited"))
    assert lost_record("l", None, "s", NOW).reason == "lost"
    assert ran_for(container(), NOW) == 10
    assert ran_for(container(started_at=None), NOW) == 11


# --- to MongoDB and back ------------------------------------------------------------------------

times = st.datetimes(timezones=st.just(UTC))
conditions = st.builds(Condition, st.text(), st.text(), st.text(), times, st.booleans())
exits = st.builds(
    ExitRecord,
    launch=st.text(),
    at=times,
    code=st.none() | st.integers(),
    reason=st.text(),
    log_tail=st.lists(st.text()).map(tuple),
)
memories = st.builds(
    Tracked,
    launch=st.none() | st.text(),
    crashes=st.integers(0),
    next_attempt_at=st.none() | times,
    conditions=st.lists(conditions).map(tuple),
    exits=st.lists(exits).map(tuple),
)
shown = st.builds(
    RunningBot,
    id=st.text(),
    name=st.text(),
    type=st.sampled_from(BotType),
    enabled=st.booleans(),
    phase=st.sampled_from(Phase),
    started_at=st.none() | times,
    conditions=st.lists(conditions).map(tuple),
    last_exit=st.none() | exits,
    exits=st.lists(exits).map(tuple),
)


@given(memories)
def test_memory_survives_json(tracked: Tracked) -> None:
    text = json.dumps(views.tracked_json(tracked))
    assert views.tracked({**json.loads(text), "of a newer version": 1}) == tracked


@given(shown)
def test_what_is_shown_survives_json(bot: RunningBot) -> None:
    assert views.running_bot(json.loads(json.dumps(views.running_bot_json(bot)))) == bot


class Database:
    """Keeps statuses, or is away."""

    def __init__(self) -> None:
        self.records: dict[str, Mapping[str, Any]] = {}
        self.away = False
        self.saved = asyncio.Event()

    async def statuses(self, installation: str) -> Mapping[str, Mapping[str, Any]]:
        return self.records

    async def save_status(self, installation: str, bot_id: str, status: Mapping[str, Any]) -> None:
        if self.away:
            raise Unavailable("away")
        self.records[bot_id] = status
        self.saved.set()

    async def delete_status(self, installation: str, bot_id: str) -> None:
        if self.away:
            raise Unavailable("away")
        self.records.pop(bot_id, None)


async def test_statuses_are_written_behind_and_kept_while_the_database_is_away() -> None:
    database = Database()
    store = StatusStore(database, "i")
    store.put("same", Tracked())
    store.put("b", Tracked(crashes=1))
    database.away = True
    with pytest.raises(Unavailable):
        await store.flush("b")
    store.put("c", Tracked(crashes=2))
    database.away = False
    await store.flush_all()
    other = StatusStore(database, "i")
    await other.load()
    assert other.get("b") == Tracked(crashes=1)
    assert set(other.ids()) == {"b", "c"}
    store.remove("b")
    await store.flush("b")
    assert set(database.records) == {"c"}


async def test_a_change_is_written_without_being_asked() -> None:
    database = Database()
    store = StatusStore(database, "i")
    running = asyncio.create_task(store.run())
    store.put("b", Tracked(crashes=1))
    await database.saved.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_of_two_writes_the_newer_one_stays() -> None:
    database = Database()
    first, go_on = asyncio.Event(), asyncio.Event()
    save = database.save_status

    async def slow(installation: str, bot_id: str, status: Mapping[str, Any]) -> None:
        if not first.is_set():
            first.set()
            await go_on.wait()
        await save(installation, bot_id, status)

    database.save_status = slow  # type: ignore[method-assign]
    store = StatusStore(database, "i")
    store.put("b", Tracked(crashes=1))
    older = asyncio.create_task(store.flush("b"))
    await first.wait()
    store.put("b", Tracked(crashes=2))
    newer = asyncio.create_task(store.flush("b"))
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(older, newer)
    assert database.records["b"]["tracked"]["crashes"] == 2


async def test_a_record_that_cannot_be_read_starts_anew() -> None:
    database = Database()
    database.records = {"b": {"tracked": {"exits": "nonsense"}}, "c": {}}
    store = StatusStore(database, "i")
    await store.load()
    assert store.get("b") == store.get("c") == Tracked()
