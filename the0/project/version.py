"""Versions of custom bots: semantic versioning, `major.minor.patch` and what may follow."""

from __future__ import annotations

import re
from typing import NamedTuple

_PART = r"(0|[1-9]\d{0,8})"
_TAIL = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = re.compile(rf"{_PART}\.{_PART}\.{_PART}(?:-({_TAIL}))?(?:\+({_TAIL}))?", re.ASCII)
MAX_LENGTH = 64


class Version(NamedTuple):
    """`prerelease` is what stands after a dash, empty for a release."""

    major: int
    minor: int
    patch: int
    prerelease: str = ""


def parse_version(text: object) -> Version:
    """Raises ValueError saying what a version looks like."""
    found = _VERSION.fullmatch(text) if isinstance(text, str) and len(text) <= MAX_LENGTH else None
    if found is None:
        raise ValueError(f"{text!r} is not a version like '1.2.3' (in quotes, three numbers)")
    major, minor, patch = (int(part) for part in found.groups()[:3])
    return Version(major, minor, patch, found[4] or "")
