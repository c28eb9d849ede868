"""dockerd restarted, killed and frozen beneath bots that run."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.faults import in_phase, numbers, output, started, unready
from tests.support.private_engine import PrivateEngine
from tests.support.runner import Installation, eventually, stays
from tests.support.soak import scaled

BOTS = [f"b{number}" for number in range(scaled(3, 10))]
HANG_SEC = scaled(8.0, 60.0)


class Life(NamedTuple):
    """A container and its process 1; the same pair is the same run of the bot."""

    ref: str
    pid: int

    @property
    def alive(self) -> bool:
        return Path(f"/proc/{self.pid}").exists()


@pytest.fixture(autouse=True)
def engine_is_back(engine: PrivateEngine) -> Iterator[None]:
    """After each test the engine runs as at the beginning, whatever the test left."""
    yield
    engine.stop()
    engine.start(live_restore=False)


def restart(engine: PrivateEngine, *, live_restore: bool) -> None:
    engine.stop()
    engine.start(live_restore=live_restore)


def crash(engine: PrivateEngine, *, live_restore: bool) -> None:
    engine.kill()
    engine.start(live_restore=live_restore)


Ending = Callable[..., None]
BOTH = pytest.mark.parametrize("end", [restart, crash])


@BOTH
def test_without_live_restore_each_bot_is_started_once_again_uncounted(
    site: Installation, engine: PrivateEngine, end: Ending
) -> None:
    started(site, *BOTS)
    before = lives(engine)
    wrote = eventually(lambda: numbers(output(engine.client, before["b0"].ref), "wrote"), "work")
    end(engine, live_restore=False)
    eventually(lambda: all_run_anew(site, engine, before), "every bot runs again")
    stays(lambda: lives(engine), 4, "no second start")
    for bot_id in BOTS:
        bot = eventually(lambda bot_id=bot_id: site.shown(bot_id), "it is shown")
        assert (bot["restarts"], bot["crashes"], bot["next_attempt_at"]) == (1, 0, None)
        assert bot["last_exit"]["asked_by"] == "engine-restart"
        assert len(bot["exits"]) == 1
    (found,) = numbers(output(engine.client, lives(engine)["b0"].ref), "found")
    assert found >= wrote[-1]


@BOTH
def test_with_live_restore_nobody_stops(
    site: Installation, engine: PrivateEngine, end: Ending
) -> None:
    restart(engine, live_restore=True)
    started(site, *BOTS)
    before = lives(engine)
    end(engine, live_restore=True)
    eventually(lambda: in_phase(site, "running") == set(BOTS), "all are shown running")
    stays(lambda: lives(engine), 4, "nobody is touched")
    assert lives(engine) == before
    wrote = len(numbers(output(engine.client, before["b0"].ref), "wrote"))
    eventually(
        lambda: len(numbers(output(engine.client, before["b0"].ref), "wrote")) > wrote,
        "its lines still come",
    )
    assert {site.shown(bot_id)["restarts"] for bot_id in BOTS} == {0}
    site.enable("b0", False)
    eventually(lambda: "b0" not in lives(engine), "the runner acts on what it adopted")


def test_what_changed_while_the_engine_was_away_is_done_once_it_is_back(
    site: Installation, engine: PrivateEngine
) -> None:
    restart(engine, live_restore=True)
    started(site, *BOTS)
    before = lives(engine)
    engine.kill()
    site.enable("b0", False)
    site.put("new", "ledger")
    eventually(lambda: unready(site) == ["engine"], "it is said what is in the way")
    assert all(life.alive for life in before.values())
    engine.start(live_restore=True)
    expected = {*BOTS, "new"} - {"b0"}
    eventually(lambda: in_phase(site, "running") == expected, "as MongoDB says")
    after = lives(engine)
    assert {one: after[one] for one in BOTS[1:]} == {one: before[one] for one in BOTS[1:]}
    assert set(after) == expected


def test_an_engine_that_hangs_is_unknown_and_nothing_is_done_on_it(
    site: Installation, engine: PrivateEngine
) -> None:
    started(site, *BOTS)
    before = lives(engine)
    engine.freeze()
    try:
        site.enable("b0", False)
        site.put("new", "ledger")
        os.kill(before["b1"].pid, signal.SIGKILL)
        eventually(lambda: not before["b1"].alive, "b1 is dead")
        stays(lambda: [life.alive for life in before.values()], HANG_SEC, "no stop")
        assert site.ask("/healthz")[0] == 200
        eventually(lambda: unready(site) == ["engine"], "it is said what is in the way")
    finally:
        engine.thaw()
    expected = {*BOTS, "new"} - {"b0"}
    eventually(lambda: in_phase(site, "running") == expected, "as MongoDB says")
    after = lives(engine)
    assert set(after) == expected
    assert {one: after[one] for one in BOTS[2:]} == {one: before[one] for one in BOTS[2:]}
    assert site.shown("b1")["restarts"] == 1
    assert {site.shown(one)["restarts"] for one in [*BOTS[2:], "new"]} == {0}


def lives(engine: PrivateEngine) -> dict[str, Life]:
    """Bot id -> its running container; fails for a bot with two, in whatever state."""
    found = engine.client.containers.list(all=True, ignore_removed=True)
    ids = [one.labels["runtime.id"] for one in found]
    assert len(ids) == len(set(ids)), f"a bot has two containers: {ids}"
    return {
        one.labels["runtime.id"]: Life(one.id, one.attrs["State"]["Pid"])
        for one in found
        if one.status == "running"
    }


def all_run_anew(site: Installation, engine: PrivateEngine, before: dict[str, Life]) -> bool:
    now = lives(engine)
    return in_phase(site, "running") == set(before) and all(
        one in now and now[one].ref != life.ref for one, life in before.items()
    )
