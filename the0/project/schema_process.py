"""Schemas of strangers, tried in a process of their own that ends after a few seconds.

A pattern like ``^(a+)+$`` computes for ever and lets no other thread run meanwhile. How many run
at once is up to the callers: the host asks from the threads of a bounded pool.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from the0.errors import InvalidDocument
from the0.models import JSON
from the0.project import schema as program

WALL_SEC = 10.0

_ENDED = {-signal.SIGXCPU, -signal.SIGKILL, program.TOO_COSTLY}


def schema_faults(schema: JSON) -> list[str]:
    """:func:`the0.project.schema.schema_faults`; that it cannot be checked is a fault."""
    try:
        return _ask(schema)
    except InvalidDocument as error:
        return [f"$: {error.message}"]


def value_faults(schema: Mapping[str, Any], value: JSON) -> list[str]:
    """:func:`the0.project.schema.value_faults`. Raises InvalidDocument where it cannot be told."""
    return _ask(schema, value)


def _ask(*question: JSON) -> list[str]:
    try:
        ran = subprocess.run(
            [sys.executable, "-I", program.__file__],
            input=json.dumps(question).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a traceback could show a value
            env={},
            timeout=WALL_SEC,
            check=False,
        )
    except (subprocess.TimeoutExpired, RecursionError):
        raise _too_costly() from None
    if ran.returncode in _ENDED:
        raise _too_costly()
    ran.check_returncode()
    faults: list[str] = json.loads(ran.stdout)
    return faults


def _too_costly() -> InvalidDocument:
    return InvalidDocument(
        f"the schema needs over {program.CPU_SEC} seconds or too much memory to be checked; look "
        "for a pattern that repeats what repeats, like '(a+)+', and for references in a circle"
    )
