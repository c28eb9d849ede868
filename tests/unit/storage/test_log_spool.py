"""The spool, killed between any two bytes that it writes."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from the0.storage import log_journal, log_spool
from the0.storage.log_day import DaySize
from the0.storage.log_lines import LogBatch, LogRecord
from the0.storage.log_spool import BotLog, LogSpool

NOW = datetime(2026, 2, 1, 0, 0, 5, tzinfo=UTC)
MIDNIGHT_NS = int(datetime(2026, 2, 1, tzinfo=UTC).timestamp()) * 10**9
EPOCHS = ("a" * 32, "b" * 32)
LARGE = 1 << 20


class Killed(BaseException):
    """Stands for kill -9 at this very byte."""


def batch(numbers: Sequence[int], epoch: str = EPOCHS[0], midnight_at: int = 0) -> LogBatch:
    """Lines whose text is their own name; those before `midnight_at` are of the day before."""
    return LogBatch(
        epoch,
        [
            LogRecord(
                number,
                MIDNIGHT_NS + (number - midnight_at) * 1000,
                f"{epoch[0]}-{number}".encode(),
                False,
            )
            for number in numbers
        ],
    )


def lines(bot: BotLog) -> list[str]:
    """The names of all lines in the spool, oldest day first."""
    text = b"".join((bot.directory / f"{day}.log").read_bytes() for day in bot.days())
    return [line.split('"message":"')[1].removesuffix('"}') for line in text.decode().splitlines()]


@pytest.fixture
def bot(tmp_path: Path) -> BotLog:
    return BotLog(tmp_path / "bot", "bot", LARGE)


def test_a_retry_never_doubles_a_line(bot: BotLog) -> None:
    assert [one.sequence for one in bot.append(batch([0, 1, 2]), NOW)] == [0, 1, 2]
    assert [one.sequence for one in bot.append(batch([1, 2, 3]), NOW)] == [3]
    assert bot.append(batch([1, 2, 3]), NOW) == []
    assert bot.acked(EPOCHS[0]) == 3
    assert lines(bot) == ["a-0", "a-1", "a-2", "a-3"]


def test_each_epoch_counts_by_itself(bot: BotLog) -> None:
    for epoch in EPOCHS:
        bot.append(batch([0, 1], epoch), NOW)
    assert lines(bot) == ["a-0", "a-1", "b-0", "b-1"]


def test_a_new_process_goes_on_where_the_old_one_ended(tmp_path: Path) -> None:
    for start in range(0, 6, 2):
        BotLog(tmp_path, "bot", LARGE).append(
            batch([start - 1, start, start + 1][start == 0 :]), NOW
        )
    assert lines(BotLog(tmp_path, "bot", LARGE)) == [f"a-{n}" for n in range(6)]


def kill_after(monkeypatch: pytest.MonkeyPatch, budget: int) -> None:
    """Let the spool write `budget` bytes, journal and lines together, then die."""
    left = [budget]

    def spend(data: bytes, write: Callable[[bytes], Any]) -> None:
        write(data[: left[0]])
        left[0] -= len(data)
        if left[0] < 0:
            raise Killed

    write_entry = log_journal.Journal.write

    def journal_write(self: log_journal.Journal, entry: log_journal.Entry) -> None:
        line = log_journal._line(entry)
        if left[0] >= len(line):
            left[0] -= len(line)
            write_entry(self, entry)
        else:
            with self._path.open("ab") as file:
                spend(line, file.write)

    def write(_self: BotLog, file: Any, data: bytes, _offset: int) -> None:
        spend(data, file.write)

    monkeypatch.setattr(log_journal.Journal, "write", journal_write)
    monkeypatch.setattr(BotLog, "_write", write)


@settings(deadline=None, max_examples=150)
@given(
    kills=st.lists(st.integers(0, 1200), max_size=6),
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    midnight_at=st.integers(0, 40),
    compact=st.sampled_from([100, 10_000]),
)
def test_kills_at_any_byte_lose_and_double_nothing(
    kills: list[int], sizes: list[int], midnight_at: int, compact: int
) -> None:
    """An agent that sends batches of different sizes, from the last acknowledged one on, while
    the spool is killed and started again."""
    total = 40
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_journal, "COMPACT_BYTES", compact)
        acked, turn, kills = -1, 0, list(kills)
        while acked < total - 1:
            with pytest.MonkeyPatch.context() as lethal:
                if kills:
                    kill_after(lethal, kills.pop())
                try:
                    bot = BotLog(Path(folder), "bot", LARGE)
                    while acked < total - 1:
                        size = sizes[turn % len(sizes)]
                        turn += 1
                        numbers = range(acked + 1, min(acked + 1 + size, total))
                        bot.append(batch(numbers, midnight_at=midnight_at), NOW)
                        acked = bot.acked(EPOCHS[0])
                except Killed:
                    continue
        assert lines(BotLog(Path(folder), "bot", LARGE)) == [f"a-{n}" for n in range(total)]


def test_a_full_disk_loses_nothing(bot: BotLog, monkeypatch: pytest.MonkeyPatch) -> None:
    bot.append(batch([0]), NOW)

    class FullDisk:
        def __init__(self, file: Any) -> None:
            self.file, self.truncate = file, file.truncate

        def write(self, data: bytes) -> int:
            if len(data) < 20:
                raise OSError(28, "No space left on device")
            return self.file.write(data[: len(data) // 2])

    write = BotLog._write
    with monkeypatch.context() as patch:
        patch.setattr(
            BotLog, "_write", lambda self, file, *rest: write(self, FullDisk(file), *rest)
        )
        with pytest.raises(OSError, match="No space"):
            bot.append(batch([1, 2]), NOW)
    assert lines(BotLog(bot.directory, "bot", LARGE)) == ["a-0"]
    assert [one.sequence for one in bot.append(batch([1, 2]), NOW)] == [1, 2]
    assert lines(bot) == ["a-0", "a-1", "a-2"]


def full_disk(_file: Any, data: bytes) -> None:
    """Stands for write_all on a disk that takes some bytes more."""
    _file.write(data[:10])
    raise OSError(28, "No space left on device")


def test_a_torn_announcement_does_not_hide_the_next(
    bot: BotLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot.append(batch([0]), NOW)
    with monkeypatch.context() as patch:
        patch.setattr(log_journal, "write_all", full_disk)
        with pytest.raises(OSError, match="No space"):
            bot.append(batch([1]), NOW)
    bot.append(batch([1]), NOW)
    again = BotLog(bot.directory, "bot", LARGE)
    assert again.acked(EPOCHS[0]) == 1
    assert again.append(batch([1]), NOW) == []
    assert lines(again) == ["a-0", "a-1"]


def test_lines_that_were_announced_in_vain_are_not_taken_for_written(
    bot: BotLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(log_spool, "write_all", full_disk)
        with pytest.raises(OSError, match="No space"):
            bot.append(batch([0, 1]), NOW)
    bot.append(batch([0], EPOCHS[1]), NOW)
    again = BotLog(bot.directory, "bot", LARGE)
    again.append(batch([0, 1]), NOW)
    assert lines(again) == ["b-0", "a-0", "a-1"]


@pytest.mark.parametrize("left", [b"", b'["aaaa', b'["aaaa\n'])
def test_a_spool_is_opened_without_room_for_anything(
    bot: BotLog, monkeypatch: pytest.MonkeyPatch, left: bytes
) -> None:
    def no_room(_self: Path, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log_journal, "COMPACT_BYTES", 0)
    monkeypatch.setattr(Path, "write_bytes", no_room)
    bot.append(batch([0]), NOW)
    with (bot.directory / "journal").open("ab") as journal:
        journal.write(left)
    again = BotLog(bot.directory, "bot", LARGE)
    assert len(again.append(batch([0, 1]), NOW)) == 1
    assert lines(BotLog(bot.directory, "bot", LARGE)) == ["a-0", "a-1"]


def test_a_day_has_a_bound_and_says_what_was_dropped(tmp_path: Path) -> None:
    bot = BotLog(tmp_path, "bot", day_max_bytes=300)
    bot.append(batch(range(10)), NOW)
    (day,) = bot.days()
    size = bot.size_of(day)
    assert size.size <= 300
    assert size.dropped_lines == 10 - len(lines(bot)) > 0
    bot.append(batch([10, 11]), NOW)
    size = BotLog(tmp_path, "bot", 300).size_of(day)
    assert size.dropped_lines == 12 - len(lines(bot))
    bot.set_base(day, [b"before\n"])
    body, length = bot.open_day(day, size)
    with body:
        text = body.read()
    assert len(text) == length
    assert text.startswith(b"before\n")
    assert f"{size.dropped_lines} lines ({size.dropped_bytes} bytes)" in text.decode()
    bot.append(batch([12], midnight_at=20), NOW)
    assert bot.size_of("20260131").dropped_lines == 0


def test_what_is_stored_is_remembered_until_more_comes(bot: BotLog) -> None:
    bot.append(batch([0]), NOW)
    (day,) = bot.days()
    assert not bot.is_stored(day)
    bot.mark_stored(day, bot.size_of(day))
    assert BotLog(bot.directory, "bot", LARGE).is_stored(day)
    bot.append(batch([1]), NOW)
    assert not bot.is_stored(day)


def test_an_object_is_cut_at_the_size_it_was_asked_for(bot: BotLog) -> None:
    bot.append(batch([0]), NOW)
    (day,) = bot.days()
    bot.set_base(day, [])
    size = bot.size_of(day)
    body, length = bot.open_day(day, size)
    with body:
        bot.append(batch([1]), NOW)
        assert len(body.read()) == length == size.size


def expire(spool: LogSpool, older_than: datetime, at_last: datetime) -> None:
    for bot_id in spool.ids():
        spool.bot(bot_id).expire(older_than, at_last)


def test_old_days_go_once_they_are_stored(tmp_path: Path) -> None:
    spool = LogSpool(tmp_path, LARGE)
    stored, unstored = spool.bot("stored/1"), spool.bot("unstored")
    for one in (stored, unstored):
        one.append(batch([0, 1], midnight_at=1), NOW)
    stored.mark_stored("20260131", stored.size_of("20260131"))
    expire(spool, older_than=NOW, at_last=NOW - timedelta(days=20))
    assert (stored.days(), unstored.days()) == (["20260201"], ["20260131", "20260201"])
    assert stored.unstored_days() == ["20260201"]
    later = NOW + timedelta(days=2)
    expire(LogSpool(tmp_path, LARGE), older_than=later, at_last=later)
    assert list(LogSpool(tmp_path, LARGE).ids()) == ["stored/1", "unstored"]


def test_folders_of_bots_that_are_gone_are_removed(tmp_path: Path) -> None:
    spool = LogSpool(tmp_path, LARGE)
    spool.bot("gone").append(batch([0]), NOW)
    future = datetime.now(UTC) + timedelta(days=400)
    expire(spool, older_than=future, at_last=future)
    assert list(tmp_path.iterdir()) == []
    assert len(spool.bot("gone").append(batch([1]), NOW)) == 1


def test_a_bot_that_another_process_removed_begins_anew(tmp_path: Path) -> None:
    spool = LogSpool(tmp_path, LARGE)
    for bot_id in ("team", "team/a"):
        spool.bot(bot_id).append(batch([0]), NOW)
    for bot_id in ("team", "never heard of"):
        log_spool.remove_spooled(tmp_path, bot_id)
    assert list(spool.ids()) == ["team/a"]
    assert spool.bot("team").unstored_days() == []
    assert len(spool.bot("team").append(batch([0]), NOW)) == 1


def test_few_bots_are_held_in_memory_and_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_spool, "_CACHED", 2)
    spool = LogSpool(tmp_path, LARGE)
    used = spool.bot("0")
    for number in range(1, 10):
        spool.bot(str(number)).append(batch([0]), NOW)
    gc.collect()
    assert sorted(spool._bots) == ["0", "8", "9"]
    assert spool.bot("0") is used
    assert spool.bot("1").acked(EPOCHS[0]) == 0


def test_sizes_of_an_unknown_day(bot: BotLog) -> None:
    assert bot.size_of("20260101") == DaySize()
