"""Bounds the log files of processes that write to them directly."""

from __future__ import annotations

import shutil
from pathlib import Path

MAX_BYTES = 10 * 1024 * 1024
KEPT = 3


def rotate(log: Path, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> bool:
    """Copy a log over `max_bytes` to `<log>.1`, older ones on to `.kept`, and empty it in place.

    Its writers have it open for appending and go on undisturbed; what they write between copy
    and emptying is lost. Returns whether it was rotated.
    """
    if not log.exists() or log.stat().st_size <= max_bytes:
        return False
    for number in range(kept - 1, 0, -1):
        older = Path(f"{log}.{number}")
        if older.exists():
            older.replace(f"{log}.{number + 1}")
    shutil.copy2(log, f"{log}.1")
    with log.open("r+b") as file:
        file.truncate(0)
    return True
