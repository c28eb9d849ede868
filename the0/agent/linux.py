"""The few calls of Linux that Python's standard library does not offer."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

LIBC = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> int:
    """The result of a call of libc, or OSError with its errno."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def hide() -> None:
    """Make this process and its forks unreadable to others of the same user (environment, memory,
    open files), for good: nothing in the agent ever turns this back."""
    checked(LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0))


def adopt_orphans() -> None:
    """Receive the orphans of all descendants, as process 1 does anyway."""
    checked(LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def die_with_parent(parent: int) -> None:
    """End this process when its `parent` ends, or at once where that has happened already."""
    checked(LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != parent:
        os._exit(1)


def gain_nothing() -> None:
    """Give up gaining privileges by exec; Landlock asks for it."""
    checked(LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def sync_filesystem(fd: int) -> None:
    """Write everything of the file system that `fd` is on to its disk."""
    checked(LIBC.syncfs(fd))


def peak_memory() -> int | None:
    """The most memory that this container ever used, in bytes; None where the kernel hides it."""
    for path in (
        "/sys/fs/cgroup/memory.peak",
        "/sys/fs/cgroup/memory/memory.max_usage_in_bytes",
    ):
        try:
            with open(path, "rb") as file:
                return int(file.read())
        except (OSError, ValueError):
            continue
    return None
