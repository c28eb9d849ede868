from __future__ import annotations

import asyncio
from pathlib import Path

from the0.gateway.tail import follow, position, read_tail
from the0.storage.log_spool import bot_directory
from the0.storage.logs import TAIL_BYTES


def write(spool: Path, name: str, text: str) -> None:
    directory = bot_directory(spool, "my/bot")
    directory.mkdir(exist_ok=True)
    with (directory / name).open("a") as file:
        file.write(text)


def test_the_last_lines_over_days_and_what_the_store_had(tmp_path: Path) -> None:
    write(tmp_path, "20260130.log", "1\n2\n")
    write(tmp_path, "20260131.base", "3\n4\n")
    write(tmp_path, "20260131.log", "5\nunfinished")
    assert read_tail(tmp_path, "my/bot", 3) == ["3", "4", "5"]
    assert read_tail(tmp_path, "my/bot", 1) == ["5"]
    assert read_tail(tmp_path, "my/bot", 99) == ["1", "2", "3", "4", "5"]
    assert read_tail(tmp_path, "other", 99) == []


def test_no_more_than_512_kib_and_no_torn_first_line(tmp_path: Path) -> None:
    line = "x" * 999 + "\n"
    write(tmp_path, "20260130.log", line * 600)
    write(tmp_path, "20260131.log", line * 100)
    found = read_tail(tmp_path, "my/bot", 10_000)
    assert set(found) == {"x" * 999}
    assert TAIL_BYTES - 2000 < len(found) * 1000 <= TAIL_BYTES


def test_between_tail_and_follow_no_line_is_torn(tmp_path: Path) -> None:
    write(tmp_path, "20260131.log", "1\n2")
    now = position(tmp_path, "my/bot")
    write(tmp_path, "20260131.log", "2\n")
    assert read_tail(tmp_path, "my/bot", 9, until=now) == ["1"]
    assert now == {"20260131": 2}


def test_other_bots_with_a_longer_name_are_others(tmp_path: Path) -> None:
    write(tmp_path, "20260131.log", "mine\n")
    assert read_tail(tmp_path, "my/bot/2", 1) == read_tail(tmp_path, "my", 1) == []


async def test_follow_tells_each_new_line_once_over_midnight(tmp_path: Path) -> None:
    write(tmp_path, "20260130.log", "old\n")
    lines = follow(tmp_path, "my/bot", position(tmp_path, "my/bot"))

    async def next_lines(count: int) -> list[str]:
        async with asyncio.timeout(30):
            return [await anext(lines) for _ in range(count)]

    first = asyncio.create_task(next_lines(1))
    write(tmp_path, "20260130.log", "a\nb")
    assert await first == ["a"]
    write(tmp_path, "20260131.log", "c\n")
    write(tmp_path, "20260130.log", "b\n")
    assert sorted(await next_lines(2)) == ["bb", "c"]
    await lines.aclose()


async def test_follow_waits_for_a_bot_that_never_wrote(tmp_path: Path) -> None:
    lines = follow(tmp_path, "my/bot", position(tmp_path, "my/bot"))
    first = asyncio.create_task(anext(lines))
    write(tmp_path, "20260131.log", "hello\n")
    async with asyncio.timeout(30):
        assert await first == "hello"
    await lines.aclose()
