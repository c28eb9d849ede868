"""Reduced counts for every day, full ones for `make soak`."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")


def scaled(reduced: T, full: T) -> T:
    """`full` when the environment has THE0_SOAK set, else `reduced`."""
    return full if os.environ.get("THE0_SOAK") else reduced
