"""What one check says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from the0.errors import InvalidInput, The0Error


class Status(StrEnum):
    OK = "ok"
    WARN = "warn"  # works, with the limitation that the message names
    FAIL = "fail"  # bots cannot run until it is mended


@dataclass(frozen=True)
class Check:
    """`message` says what was found, `fix` what to do (empty where there is nothing to do)."""

    name: str
    status: Status
    message: str
    fix: str = ""


def ok(name: str, message: str) -> Check:
    return Check(name, Status.OK, message)


def warn(name: str, message: str, fix: str) -> Check:
    return Check(name, Status.WARN, message, fix)


def fail(name: str, message: str, fix: str) -> Check:
    return Check(name, Status.FAIL, message, fix)


def said(error: The0Error) -> str:
    """What an error says, as one paragraph."""
    faults = error.faults if isinstance(error, InvalidInput) else ()
    return "; ".join(faults) or str(error)
