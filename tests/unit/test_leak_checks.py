"""The checks that every test runs under must themselves be able to fail."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import pytest

from tests.support import leaks


def test_a_changed_environment_variable_is_named_and_put_back() -> None:
    with pytest.raises(AssertionError, match="THE0_LEAK"), leaks.no_environment_leak():
        os.environ["THE0_LEAK"] = "1"
    assert "THE0_LEAK" not in os.environ


def test_a_temporary_file_left_behind_is_named() -> None:
    handle, name = -1, ""
    with pytest.raises(AssertionError, match="left-over"), leaks.no_file_leak():
        handle, name = tempfile.mkstemp(prefix="left-over")
    os.close(handle)
    Path(name).unlink()


async def test_a_task_left_running_is_named() -> None:
    before = asyncio.all_tasks()
    task = asyncio.create_task(asyncio.sleep(60), name="left-over")
    with pytest.raises(AssertionError, match="left-over"):
        leaks.assert_no_new_tasks(before)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    leaks.assert_no_new_tasks(before)
