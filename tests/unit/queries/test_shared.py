"""Questions that many ask at once are asked once."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from the0.errors import Unavailable
from the0.queries.shared import Shared

SECONDS = 0.05


class Source:
    """Answers with how often it was asked; `hold` keeps it from answering."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.go = asyncio.Event()
        self.go.set()
        self.fault = ""

    async def ask(self, key: str) -> int:
        self.asked[key] += 1
        count = self.asked[key]
        await self.go.wait()
        if self.fault:
            raise Unavailable(self.fault)
        return count


async def test_all_who_ask_at_once_share_one_answer() -> None:
    source = Source()
    shared = Shared(source.ask, SECONDS)
    source.go.clear()
    asking = [asyncio.create_task(shared.get("a")) for _ in range(10)]
    await asyncio.sleep(2 * SECONDS)
    late = asyncio.create_task(shared.get("a"))
    source.go.set()
    assert await asyncio.gather(*asking, late) == [1] * 11
    assert await shared.get("b") == 1
    await shared.close()


async def test_an_answer_is_kept_for_so_long_and_not_longer() -> None:
    source = Source()
    shared = Shared(source.ask, SECONDS)
    assert await shared.get("a") == 1
    assert await shared.get("a") == 1
    await asyncio.sleep(1.5 * SECONDS)
    assert await shared.get("a") == 2
    await shared.close()


async def test_half_way_it_is_asked_for_again_and_nobody_waits_for_that() -> None:
    source = Source()
    shared = Shared(source.ask, 10 * SECONDS)
    assert await shared.get("a") == 1
    source.go.clear()
    await asyncio.sleep(6 * SECONDS)
    assert [await shared.get("a") for _ in range(3)] == [1, 1, 1]
    await asyncio.sleep(0)
    assert source.asked["a"] == 2
    await asyncio.sleep(5 * SECONDS)
    too_old = asyncio.create_task(shared.get("a"))
    await asyncio.sleep(0)
    assert not too_old.done()
    source.go.set()
    assert await too_old == 2
    await shared.close()


async def test_who_needs_a_newer_one_gets_it_and_shares_it() -> None:
    source = Source()
    shared = Shared(source.ask, 60.0)
    assert await shared.get("a") == 1
    now = asyncio.get_running_loop().time()
    assert await shared.get("a", since=now) == 2
    assert await shared.get("a", since=now) == 2
    assert await shared.get("a") == 2
    await shared.close()


async def test_an_error_is_told_to_all_and_forgotten() -> None:
    source = Source()
    shared = Shared(source.ask, 60.0)
    source.fault = "away"
    found = await asyncio.gather(shared.get("a"), shared.get("a"), return_exceptions=True)
    assert [str(one) for one in found] == ["away", "away"]
    source.fault = ""
    assert await shared.get("a") == 2
    await shared.close()


async def test_who_gives_up_takes_the_answer_from_nobody() -> None:
    source = Source()
    shared = Shared(source.ask, SECONDS)
    source.go.clear()
    one, other = (asyncio.create_task(shared.get("a")) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await one
    source.go.set()
    assert await other == 1
    await shared.close()


async def test_old_answers_are_let_go() -> None:
    shared = Shared(Source().ask, 0.0)
    for number in range(3000):
        await shared.get(str(number))
    assert len(shared._asked) <= 1001
    await shared.close()
