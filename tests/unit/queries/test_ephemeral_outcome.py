"""What an agent's last words mean for who asked."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from the0.errors import The0Error, Unavailable
from the0.launches import LaunchExit, LaunchStatus, ReportedCondition
from the0.queries.ephemeral_outcome import hold_up, judge
from the0.queries.models import QueryFailed

UNKNOWN_PATH = b'{"status": "error", "error": "No handler for path: /x", "available": []}'


def ended(code: int | None, signal: int | None = None, reason: str = "exited") -> LaunchExit:
    return LaunchExit(code, signal, reason, None, state_saved=True)


@pytest.mark.parametrize(
    ("code", "result", "status"),
    [
        (0, b'{"status":"ok"}', 200),
        (0, b"no json at all", 200),
        (1, b'{"status":"error","error":"x"}', 500),
        (1, UNKNOWN_PATH, 404),
        (0, UNKNOWN_PATH, 200),
        (1, b"[" * 200_000, 500),
        (1, b"\xff\xfe", 500),
        (1, b'["No handler for path: "]', 500),
        (1, b'{"error": null}', 500),
        (2, b"", 500),
    ],
)
def test_a_result_is_passed_on_as_it_is(code: int, result: bytes, status: int) -> None:
    answer = judge(ended(code), {}, result)
    assert (answer.status, answer.body) == (status, result)


@pytest.mark.parametrize(
    ("exit", "conditions", "error", "told"),
    [
        (ended(0), {}, QueryFailed, "exit code 0 and wrote no result"),
        (ended(0), {"ResultTooLarge": "too large"}, QueryFailed, "too large"),
        (ended(None, 9), {}, QueryFailed, "signal 9"),
        (ended(None, 9, "disk"), {}, QueryFailed, "signal 9"),
        (ended(None, None, "platform"), {"CodeInvalid": "no zip"}, QueryFailed, "no zip"),
        (ended(None, None, "platform"), {}, QueryFailed, "could not be made ready"),
        (ended(143, None, "stopped"), {}, Unavailable, "stopped before it answered"),
    ],
)
def test_without_a_result_it_is_told_why(
    exit: LaunchExit, conditions: Mapping[str, str], error: type[The0Error], told: str
) -> None:
    with pytest.raises(error, match=told):
        judge(exit, conditions, None)


@pytest.mark.parametrize(
    ("type", "status", "held"),
    [
        ("StateUnavailable", True, True),
        ("CodeUnavailable", True, True),
        ("StateUnavailable", False, False),
        ("LaunchUnavailable", True, False),
        ("QueryStateWritable", True, False),
    ],
)
def test_a_dependency_that_is_away_holds_a_query_up(type: str, status: bool, held: bool) -> None:
    condition = ReportedCondition(type, status, "Unavailable", "the store is away")
    found = hold_up(LaunchStatus("fetching", [condition]))
    assert (found is not None) == held
    assert found is None or "the store is away" in found.message
