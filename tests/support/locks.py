"""Test processes side by side share one engine: what only one of them may do at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    """Hold a lock that all test processes of this user share; waits for it without a bound."""
    # Not in TMPDIR, which each process of tests has for itself.
    with Path(f"/tmp/the0-tests-{os.getuid()}-{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
