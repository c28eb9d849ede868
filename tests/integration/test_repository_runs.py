"""Claims, leases and records of runs, on a real server that is also killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pymongo
import pytest
import pytest_asyncio

from tests.support.soak import scaled
from the0.core.schedule_times import run_id
from the0.models import BotType, Condition, Outcome, Run, Trigger
from the0.repository import Repository
from the0.settings import MongoSettings
from the0.testing.servers import Server, mongo_server

KILLS = scaled(3, 50)
SLOT = datetime(2026, 6, 1, 12, tzinfo=UTC)


def run(slot: datetime = SLOT, bot_id: str = "a", **changed: Any) -> Run:
    fields: dict[str, Any] = {
        "id": run_id(bot_id, slot, changed.get("attempt", 1)),
        "bot_id": bot_id,
        "slot": slot,
        "attempt": 1,
        "trigger": Trigger.SCHEDULE,
        "due": slot,
        "deadline": slot + timedelta(minutes=5),
        "timeout_sec": 60.0,
        "retries": 0,
        "claimed": slot,
        "owner": "one",
        "lease_until": slot + timedelta(seconds=15),
        "host": "here",
        "launch": "1" * 32,
    }
    return Run(**fields | changed)


def ended(at: Run, outcome: Outcome = Outcome.SUCCEEDED, **changed: Any) -> Run:
    return replace(at, ended=at.slot, outcome=outcome, lease_until=None, **changed)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One of the test's own, to be killed."""
    with mongo_server(tmp_path) as own:
        yield own


@pytest_asyncio.fixture
async def repository(mongod: Server) -> AsyncIterator[Repository]:
    with pymongo.MongoClient[dict[str, Any]](mongod.url) as client:
        client["the0"]["runs"].delete_many({})
    opened = Repository(MongoSettings(uri=mongod.url))
    await opened.make_run_indexes()
    yield opened
    await opened.close()


async def test_of_many_who_claim_at_once_one_gets_it(repository: Repository) -> None:
    claims = [run(owner=f"owner-{n}", launch=f"{n:032x}") for n in range(20)]
    got = await asyncio.gather(*(repository.claim_run(one) for one in claims))
    assert sum(got) == 1
    (active,) = await repository.active_runs()
    assert active == claims[got.index(True)]


async def test_asking_again_for_what_one_has_is_safe(repository: Repository) -> None:
    assert await repository.claim_run(run())
    assert await repository.claim_run(run())
    assert not await repository.claim_run(run(launch="2" * 32))


async def test_a_record_comes_back_as_it_was_stored(repository: Repository) -> None:
    told = Condition("StateNotSaved", "OverLimit", "too large", SLOT)
    full = ended(
        run(),
        Outcome.FAILED,
        started=SLOT,
        reason="it ended with 1",
        exit_code=1,
        oom_killed=True,
        peak_memory_bytes=2**40,
        result={"large": 2**80, "list": [1.5, None, "x"]},
        conditions=(told,),
        log_tail=("one", "two"),
    )
    assert await repository.claim_run(run())
    assert await repository.finish_run(full)
    assert await repository.get_run(full.id) == full
    assert await repository.active_runs() == []
    assert await repository.list_runs("a") == [full]
    assert not await repository.finish_run(ended(full)), "the first record stays"


async def test_a_result_that_cannot_be_read_costs_only_itself(
    repository: Repository, mongod: Server
) -> None:
    reference = {"$ref": "orders", "$id": 2**80, "$db": "book"}
    runs = [run(SLOT + timedelta(minutes=n)) for n in range(2)]
    await repository.record_runs([ended(one, result=reference) for one in runs])
    with pymongo.MongoClient[dict[str, Any]](mongod.url) as client:
        broken = {"$set": {"result": float("nan")}}
        client["the0"]["runs"].update_one({"_id": runs[1].id}, broken)
    assert [one.result for one in await repository.list_runs()] == [None, reference]


async def test_leases_change_hands_only_as_they_were_read(repository: Repository) -> None:
    mine = run()
    await repository.claim_run(mine)
    later = SLOT + timedelta(minutes=1)
    assert not await repository.take_over(replace(mine, lease_until=later), "two", later)
    assert await repository.take_over(mine, "two", later)
    assert not await repository.take_over(mine, "three", later)
    assert not await repository.hold_run(mine)
    assert not await repository.begin_run(mine, SLOT)
    assert not await repository.finish_run(ended(mine, Outcome.MISSED))
    theirs = replace(mine, owner="two", lease_until=later)
    assert await repository.hold_run(theirs)
    assert await repository.begin_run(theirs, SLOT)
    await repository.renew_leases("two", later + timedelta(minutes=1))
    await repository.release_leases("two")
    (free,) = await repository.active_runs()
    assert (free.owner, free.lease_until) == ("", None)
    how_it_ended = ended(mine, Outcome.FAILED, started=SLOT)
    assert await repository.finish_run(how_it_ended), "how a container ended is for all to tell"


async def test_a_cancelled_run_is_not_begun(repository: Repository) -> None:
    mine = run()
    await repository.claim_run(mine)
    assert await repository.cancel_run(mine.id, "a person")
    assert not await repository.cancel_run(mine.id, "another")
    assert not await repository.hold_run(mine)
    assert not await repository.begin_run(mine, SLOT)
    stored = await repository.get_run(mine.id)
    assert stored is not None
    assert stored.cancel == "a person"


async def test_slots_that_somebody_has_are_not_recorded_as_missed(repository: Repository) -> None:
    slots = [run(SLOT + timedelta(minutes=n)) for n in range(3)]
    await repository.claim_run(slots[1])
    missed = [ended(one, Outcome.MISSED, owner="two") for one in slots]
    assert await repository.record_runs(missed) == 2
    assert await repository.record_runs(missed) == 0
    assert await repository.record_runs([]) == 0
    assert [one.owner for one in await repository.list_runs("a")] == ["two", "one", "two"]


async def test_records_are_kept_by_count_and_by_age(repository: Repository) -> None:
    runs = [run(SLOT + timedelta(days=n)) for n in range(6)]
    await repository.record_runs([ended(one) for one in runs])
    await repository.claim_run(run(SLOT - timedelta(days=1)))
    await repository.record_runs([ended(run(bot_id="b"))])
    later = SLOT + timedelta(days=30)
    assert await repository.trim_runs("a", 4, later) == 2
    assert await repository.trim_runs("a", 40, later) == 0
    assert len(await repository.active_runs()) == 1
    assert await repository.forget_runs(SLOT + timedelta(days=3)) == 2
    left = [(one.bot_id, one.slot) for one in await repository.list_runs(limit=10)]
    kept = [("a", SLOT + timedelta(days=n)) for n in (5, 4, 3)]
    assert left == [*kept, ("a", SLOT - timedelta(days=1))]
    since = await repository.ended_runs(SLOT + timedelta(days=4))
    assert [one.slot for one in since] == [SLOT + timedelta(days=n) for n in (4, 5)]


async def test_a_slot_of_late_is_not_claimed_again_however_few_records_are_kept(
    repository: Repository,
) -> None:
    slots = [run(SLOT + timedelta(hours=n)) for n in range(4)]
    large = {"result": {"much": "x"}, "log_tail": ("one",)}
    await repository.record_runs([ended(one, Outcome.FAILED, **large) for one in slots])
    assert await repository.trim_runs("a", 1, slots[1].slot) == 1
    assert await repository.claim_run(slots[0])
    assert not await repository.claim_run(replace(slots[1], owner="two"))
    kept = (await repository.list_runs("a"))[:3]
    assert [one.slot for one in kept] == [one.slot for one in slots[:0:-1]]
    assert [(one.result, one.log_tail) for one in kept] == [
        tuple(large.values()),
        *[(None, ())] * 2,
    ]


async def test_plans_move_forward_unless_they_are_made_anew(repository: Repository) -> None:
    await repository.upsert_bot(BotType.SCHEDULED, {"id": "planned", "config": {}, "custom": {}})
    later = SLOT + timedelta(hours=1)
    for at, forward, expected in (
        (later, True, later),
        (SLOT, True, later),
        (SLOT, False, SLOT),
        (None, False, None),
    ):
        await repository.plan_bot("planned", at, forward=forward)
        document = await repository.get_bot(BotType.SCHEDULED, "planned") or {}
        seconds = int(expected.timestamp()) if expected else None
        assert document.get("next_execution_time") == seconds
    await repository.plan_bot("nobody", SLOT)
    assert await repository.get_bot(BotType.SCHEDULED, "nobody") is None
    await repository.delete_bot(BotType.SCHEDULED, "planned")


async def test_a_claim_outlives_a_database_killed_right_after_it(server: Server) -> None:
    for number in range(KILLS):
        claim = run(SLOT + timedelta(minutes=number))
        repository = Repository(MongoSettings(uri=server.url))
        try:
            assert await repository.claim_run(claim)
            server.kill()
        finally:
            await repository.close()
        server.start()
        other = Repository(MongoSettings(uri=server.url))
        try:
            assert not await other.claim_run(replace(claim, owner="two", launch="2" * 32))
            assert await other.get_run(claim.id) == claim
        finally:
            await other.close()
