"""Reading bots' logs: the last lines, and new ones as they come. Any process may, also while
another one serves the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path

from the0.storage.log_spool import bot_directory, spooled_days
from the0.storage.logs import TAIL_BYTES, LogStore

FOLLOW_POLL_SEC = 0.2
_PIECE = 1 << 20


Position = Mapping[str, int]
"""How far the spool has a bot's log: the size in bytes of each day's file."""


def position(spool: Path, bot_id: str) -> Position:
    """Where the log ends now: what is before is for :func:`read_tail`, the rest for
    :func:`follow`, so that nothing is missed or comes twice between the two."""
    return _sizes(bot_directory(spool, bot_id))


def read_tail(
    spool: Path,
    bot_id: str,
    lines: int,
    store: LogStore | None = None,
    until: Position | None = None,
) -> list[str]:
    """The last `lines` NDJSON lines of the bot (before `until`), oldest first, of at most 512 KiB.

    Days that the spool does not have come from `store`, if one is given; blocks for it.
    """
    directory = bot_directory(spool, bot_id)
    ends = _sizes(directory) if until is None else until
    found: list[str] = []
    read = 0
    for text in _newest_first(directory, bot_id, store, ends):
        kept = text[-(TAIL_BYTES - read) :]
        read += len(kept)
        found = _lines(kept, whole=len(kept) == len(text)) + found
        if len(found) >= lines or read >= TAIL_BYTES:
            break
    return found[max(0, len(found) - lines) :]


async def follow(spool: Path, bot_id: str, start: Position) -> AsyncIterator[str]:
    """NDJSON lines that are written from `start` on, within about 0.2 s; never ends by itself."""
    directory = bot_directory(spool, bot_id)
    offsets = dict(start)
    while True:
        for line in await asyncio.to_thread(_news, directory, offsets):
            yield line
        await asyncio.sleep(FOLLOW_POLL_SEC)


def _newest_first(
    directory: Path, bot_id: str, store: LogStore | None, until: Position
) -> Iterator[bytes]:
    spooled = sorted(until)
    for day in reversed(spooled):
        yield _end_of(directory / f"{day}.log", until[day])
        yield _end_of(directory / f"{day}.base")
    if store is not None:
        for day in reversed(store.days(bot_id)):
            if day not in spooled:
                yield store.tail(bot_id, day)


def _end_of(path: Path, until: int | None = None) -> bytes:
    """The last 512 KiB of a file (or of its first `until` bytes); empty when it is gone."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2) if until is None else until
            start = file.seek(max(0, size - TAIL_BYTES))
            return file.read(size - start)
    except FileNotFoundError:
        return b""


def _lines(text: bytes, *, whole: bool) -> list[str]:
    """The complete lines of the end of a file; the first one is not complete in a cut text."""
    complete = text.split(b"\n")[:-1]
    if not whole or len(text) >= TAIL_BYTES:
        complete = complete[1:]
    return [line.decode("utf-8", "replace") for line in complete]


def _sizes(directory: Path) -> dict[str, int]:
    return {day: _whole_lines(directory / f"{day}.log") for day in spooled_days(directory)}


def _whole_lines(path: Path) -> int:
    """The size of a file without a last line that is just being written."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            start = file.seek(max(0, size - _PIECE))
            return start + file.read(size - start).rfind(b"\n") + 1
    except FileNotFoundError:
        return 0


def _news(directory: Path, offsets: dict[str, int]) -> Sequence[str]:
    """Complete lines beyond `offsets`, which move on; one piece a day at a time."""
    found: list[str] = []
    for day in spooled_days(directory):
        try:
            with (directory / f"{day}.log").open("rb") as file:
                file.seek(offsets.get(day, 0))
                text = file.read(_PIECE)
        except FileNotFoundError:
            continue
        end = text.rfind(b"\n") + 1
        offsets[day] = offsets.get(day, 0) + end
        found += [line.decode("utf-8", "replace") for line in text[:end].split(b"\n")[:-1]]
    return found
