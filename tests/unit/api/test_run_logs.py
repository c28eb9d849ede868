"""The lines of one run, cut out of the days of its bot's log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from the0.api.run_logs import Span, read_span
from the0.storage.log_lines import timestamp
from the0.storage.log_spool import bot_directory
from the0.storage.logs import TAIL_BYTES, LogStore

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Stored(LogStore):
    """Days of one bot, given in pieces of a few bytes."""

    def __init__(self, days: Mapping[str, bytes]) -> None:
        self._days = days

    def pieces(self, bot_id: str, day: str) -> Iterator[bytes]:
        whole = self._days.get(day, b"")
        yield from (whole[at : at + 7] for at in range(0, len(whole), 7))


def line(at: datetime, message: str) -> str:
    return f'{{"timestamp":"{timestamp(at)}","message":"{message}"}}'


def day(*lines: str) -> bytes:
    return "".join(f"{one}\n" for one in lines).encode()


def spool(root: Path, name: str, content: bytes) -> None:
    folder = bot_directory(root, "bot")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def span(start: datetime, end: datetime | None, lines: int = 100) -> Span:
    return Span("bot", start, end, lines)


def test_lines_before_and_after_are_those_of_other_runs(tmp_path: Path) -> None:
    lines = [line(NOON + n * SECOND, f"line {n}") for n in range(9)]
    store = Stored({"20260131": day(*lines)})
    assert read_span(span(NOON + 3 * SECOND, NOON + 5 * SECOND), tmp_path, store) == lines[3:6]
    assert read_span(span(NOON + 3 * SECOND, NOON + 5 * SECOND, 2), tmp_path, store) == lines[4:6]
    assert read_span(span(NOON + 20 * SECOND, NOON + 30 * SECOND), tmp_path, store) == []


def test_a_run_over_midnight_and_a_day_half_in_the_spool(tmp_path: Path) -> None:
    midnight = datetime(2026, 2, 1, tzinfo=UTC)
    lines = [line(midnight + n * SECOND, f"line {n}") for n in range(-2, 4)]
    spool(tmp_path, "20260201.base", day(*lines[2:4]))
    spool(tmp_path, "20260201.log", day(*lines[4:]) + b'{"timestamp":"half a li')
    store = Stored({"20260131": day(*lines[:2]), "20260201": b"what the spool knows better\n"})
    assert read_span(span(midnight - 2 * SECOND, midnight + 3 * SECOND), tmp_path, store) == lines


def test_a_line_without_a_time_goes_with_the_one_before(tmp_path: Path) -> None:
    own = '{"timestamp":"a quarter past","message":"own"}'
    lines = [line(NOON, "other run"), own, line(NOON + 5 * SECOND, "begin"), own]
    store = Stored({"20260131": day(*lines)})
    assert read_span(span(NOON + SECOND, NOON + 9 * SECOND), tmp_path, store) == lines[2:]


def test_a_running_one_has_what_came_until_now(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    spool(tmp_path, f"{now:%Y%m%d}.log", day(line(now, "here")))
    found = read_span(span(now - 60 * SECOND, None), tmp_path, Stored({}))
    assert found == [line(now, "here")]


@given(st.lists(st.integers(0, 20_000), max_size=60), st.integers(0, 50))
def test_it_is_the_end_that_is_kept_within_the_bound(sizes: list[int], lines: int) -> None:
    written = [line(NOON, "x" * size) for size in sizes]
    found = read_span(span(NOON, NOON, lines), Path("/nowhere"), Whole(day(*written)))
    assert found == written[len(written) - len(found) :]
    assert sum(map(len, found)) <= TAIL_BYTES
    assert len(found) <= lines


class Whole(LogStore):
    def __init__(self, content: bytes) -> None:
        self._content = content

    def pieces(self, bot_id: str, day: str) -> Iterator[bytes]:
        yield self._content
