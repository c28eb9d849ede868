import asyncio
import ctypes
import errno
import time
from pathlib import Path
from unittest.mock import patch

import pytest

from the0 import watch
from the0.files import write_atomic
from the0.watch import FolderWatch


@pytest.fixture
def folder(tmp_path: Path) -> FolderWatch:
    return FolderWatch(tmp_path)


async def test_a_file_put_in_place_wakes_those_who_wait_for_it(
    folder: FolderWatch, tmp_path: Path
) -> None:
    with folder.of("a") as first, folder.of("a") as second, folder.of("b") as other:
        await asyncio.to_thread(write_atomic, tmp_path / "a", b"1")
        assert await first.wait(5)
        assert await second.wait(5)
        assert not await other.wait(0.01)
        assert not await first.wait(0.01)
        await asyncio.to_thread(write_atomic, tmp_path / "a", b"2")
        assert await first.wait(5)
    folder.close()


async def test_what_happened_between_look_and_wait_is_not_missed(
    folder: FolderWatch, tmp_path: Path
) -> None:
    with folder.of("a") as change:
        write_atomic(tmp_path / "a", b"1")
        await asyncio.sleep(0.01)
        assert await change.wait(5)
    folder.close()


async def test_lost_events_wake_everybody() -> None:
    lost = watch._HEAD.pack(-1, watch._OVERFLOWN, 0, 0)
    named = watch._HEAD.pack(1, watch._MOVED_HERE, 0, 16) + b"a".ljust(16, b"\0")
    assert list(watch._names(named + lost)) == ["a", None]


async def test_without_a_watch_a_wait_ends_by_itself(folder: FolderWatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> int:
        ctypes.set_errno(errno.EMFILE)
        return -1

    with patch.object(watch._LIBC, "inotify_init1", refuse), folder.of("a") as change:
        write_atomic(tmp_path / "a", b"1")
        begun = time.monotonic()
        assert not await change.wait(0.05)
        assert time.monotonic() - begun < 5
    folder.close()
