"""Files that are either old or new, never half written."""

from __future__ import annotations

import os
import threading


def write_whole(path: str, text: str) -> None:
    """Replace the file at `path` by `text` in one step, on disk before it is visible.

    Raises OSError; the old content, if any, is then still there.
    """
    # Named after process and thread: a file left by a kill is written over, they never pile up.
    scratch = f"{os.path.dirname(path)}/.the0-{os.getpid()}-{threading.get_native_id()}.tmp"
    try:
        with open(scratch, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except BaseException:
        remove_if_there(scratch)
        raise


def remove_if_there(path: str) -> bool:
    """Remove a file; says whether it existed."""
    try:
        os.remove(path)
    except FileNotFoundError:
        return False
    return True
