"""Landlock: the kernel itself keeps a process from writing outside some folders."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

from the0.agent.linux import LIBC, checked, gain_nothing

# The same numbers on every architecture.
_CREATE_RULESET = 444
_ADD_RULE = 445
_RESTRICT_SELF = 446

_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1

# LANDLOCK_ACCESS_FS_*: write a file, remove and make entries of every kind; later versions of
# the kernel's interface add moving across folders (2) and truncating (3).
_WRITE = 1 << 1 | sum(1 << bit for bit in range(4, 13))
_REFER = 1 << 13
_TRUNCATE = 1 << 14

FULL_VERSION = 3
"""The first version that also covers truncating a file without opening it for writing."""


class _RulesetAttr(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _PathBeneathAttr(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def version() -> int:
    """The version of the kernel's Landlock interface; 0 where it has none."""
    found: int = LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG)
    return max(0, found)


def allow_writes_only_below(folders: Sequence[str]) -> None:
    """Keep this process and its descendants from writing anywhere but below `folders`, for good.
    Reading stays as it is. Raises OSError where the kernel has no Landlock."""
    rights = _rights(version())
    attributes = _RulesetAttr(rights)
    ruleset = checked(
        LIBC.syscall(
            _CREATE_RULESET,
            ctypes.byref(attributes),
            ctypes.c_size_t(ctypes.sizeof(attributes)),
            0,
        )
    )
    try:
        for folder in folders:
            _allow(ruleset, folder, rights)
        gain_nothing()
        checked(LIBC.syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _rights(abi: int) -> int:
    return _WRITE | (_REFER if abi >= 2 else 0) | (_TRUNCATE if abi >= FULL_VERSION else 0)


def _allow(ruleset: int, folder: str, rights: int) -> None:
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        rule = _PathBeneathAttr(rights, fd)
        checked(LIBC.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(fd)
