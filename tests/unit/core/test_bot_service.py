"""The runner as a whole, over an engine and documents that can be made to fail at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain, repeat
from pathlib import Path

import pytest

from tests.support.realtime import Service, until
from the0.core.bot_service import BotService
from the0.core.desired import DOUBT_SEC
from the0.core.plan import STATE_CONFLICT
from the0.core.tracked import Tracked
from the0.errors import Conflict, ServerFault, Unavailable
from the0.models import BotType, Condition
from the0.repository import RawDocument

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def conditions(service: BotService, bot_id: str) -> dict[str, str]:
    found = next((one for one in service.state if one.id == bot_id), None)
    return {one.type: one.message for one in found.conditions} if found else {}


def crashes(service: BotService, bot_id: str) -> tuple[int, int]:
    found = next(one for one in service.state if one.id == bot_id)
    return found.crashes, found.restarts


def read_since(desk: Service, count: int) -> bool:
    return bool(desk.documents.reads >= count)


@pytest.fixture
def desk(tmp_path: Path) -> Service:
    return Service(tmp_path)


async def test_a_database_that_is_empty_at_the_start_stops_nobody_at_once(desk: Service) -> None:
    for bot_id in ("a", "b"):
        desk.documents.put(bot_id)
    async with desk.running():
        await until(lambda: desk.engine.running() == {"a", "b"}, "both run")
    desk.documents.bots.clear()
    before = desk.documents.reads
    async with desk.running() as service:
        for count in range(1, 4):
            await service.wake(None)
            await until(partial(read_since, desk, before + count), "it is read")
        assert "stop" not in desk.engine.calls
        await until(lambda: not desk.engine.running(), "a later read is believed", DOUBT_SEC + 10)


async def test_passes_right_after_each_other_come_to_rest(
    desk: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.documents.put("a")
    async with desk.running() as service:
        await until(lambda: desk.engine.running() == {"a"}, "it runs")
        looks = chain(("a",), repeat(None))
        read = desk.documents.desired

        async def slow_read(type: BotType) -> Sequence[RawDocument]:
            """The next pass is wanted before this one ends; in the first, the bot's lane looks."""
            await service.wake(next(looks))
            await service.wake(None)
            await asyncio.sleep(0.05)
            return await read(type)

        monkeypatch.setattr(desk.documents, "desired", slow_read)
        begun = desk.documents.reads
        await service.wake(None)
        await until(partial(read_since, desk, begun + 5), "five passes are made")
        report = service.status()["pass"]
        assert (report["bots"], report["steps"]) == (1, 0)


async def test_a_start_that_the_engine_fails_backs_off_and_is_told(desk: Service) -> None:
    def fault(call: str) -> None:
        if call == "start":
            raise ServerFault("Docker could not start it: OCI runtime error")

    desk.engine.fault = fault
    desk.documents.put("a")
    async with desk.running() as service:
        await until(lambda: "StartFailed" in conditions(service, "a"), "it is told")
        assert "OCI runtime error" in conditions(service, "a")["StartFailed"]
        assert crashes(service, "a") == (1, 0), "the first fault may be the engine's own"
        assert desk.engine.calls.count("start") == 2
        desk.engine.fault = lambda call: None
        await until(lambda: desk.engine.running() == {"a"}, "it runs")
        await until(lambda: not conditions(service, "a"), "nothing more is told")


async def test_a_name_that_stays_taken_is_a_failed_start(desk: Service) -> None:
    def fault(call: str) -> None:
        if call == "create":
            raise Conflict("the name is in use by another container")

    desk.engine.fault = fault
    desk.documents.put("a")
    async with desk.running() as service:
        await until(lambda: "StartFailed" in conditions(service, "a"), "it is told")
        assert "in use by another" in conditions(service, "a")["StartFailed"]


async def test_all_bots_are_stopped_with_the_host_though_the_engine_is_away_for_a_moment(
    tmp_path: Path,
) -> None:
    desk = Service(tmp_path, THE0_RUNNER__STOP_BOTS_ON_EXIT="true")
    desk.documents.put("a")
    async with desk.running():
        await until(lambda: desk.engine.running() == {"a"}, "it runs")
        asked: list[str] = []

        def fault(call: str) -> None:
            asked.append(call)
            if len(asked) < 4:
                raise Unavailable("away")

        desk.engine.fault = fault
    assert not desk.engine.running()


async def test_a_bot_that_was_purged_and_made_anew_begins_anew(desk: Service) -> None:
    desk.documents.put("a")
    desk.store("a/state.tar.gz")
    async with desk.running() as service:
        await until(lambda: desk.engine.running() == {"a"}, "it runs")
        stored = desk.documents.bots.pop("a")
        await service.purge("a")
        desk.documents.bots["a"] = stored
        await service.wake("a")
        await until(lambda: "remove_bot_volumes" in desk.engine.calls, "what it left goes first")
        await until(lambda: desk.engine.running() == {"a"}, "it runs again")
        assert not desk.stored("a/state.tar.gz")
        desk.store("a/state.tar.gz")
        desk.documents.bots.clear()
        await service.wake("a")
        await until(lambda: desk.engine.calls.count("remove_bot_volumes") == 2, "it is gone")
    assert desk.stored("a/state.tar.gz"), "nobody asked for this one to go"


async def test_an_answer_to_a_conflict_is_used_once(desk: Service) -> None:
    store = desk.documents
    async with desk.running() as service:
        retirement, statuses = service._retirement, service._store
        conflict = Condition(STATE_CONFLICT, "BothChanged", "both changed", NOW)
        statuses.put("a", replace(Tracked(), conditions=(conflict,)))
        store.choices["a"] = "local"
        store.fails.add("clear_state_choice")
        with pytest.raises(Unavailable):
            await retirement.take_choice("a")
        assert statuses.get("a").state_keep is None, "not used while it could be used again"
        store.fails.clear()
        await retirement.take_choice("a")
        assert statuses.get("a").state_keep == "local"
        assert store.choices == {}
