"""Cancellation that a library keeps for itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cancellation_heard() -> Iterator[None]:
    """Around calls of a library that uses :func:`asyncio.wait_for`, in a task.

    Before Python 3.12 that function drops a cancellation that comes in the moment in which what it
    waits for is done (python/cpython#86296); the task would go on for ever. Here it ends with
    CancelledError, as whoever cancelled it expects.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError
