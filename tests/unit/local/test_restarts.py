from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from the0.local.restarts import (
    FIRST_DELAY_SEC,
    HEALTHY_AFTER_SEC,
    LONGEST_DELAY_SEC,
    Restarts,
)

SHORT = HEALTHY_AFTER_SEC / 2


def test_the_delay_doubles_until_its_bound() -> None:
    restarts, delays = Restarts(), []
    for _ in range(10):
        restarts = restarts.after_exit(SHORT)
        delays.append(restarts.delay_sec)
    assert delays[:3] == [FIRST_DELAY_SEC, 2 * FIRST_DELAY_SEC, 4 * FIRST_DELAY_SEC]
    assert delays[-1] == LONGEST_DELAY_SEC


def test_a_healthy_run_begins_the_delays_anew() -> None:
    restarts = Restarts(total=9, in_a_row=9).after_exit(HEALTHY_AFTER_SEC)
    assert restarts == Restarts(total=10, in_a_row=1)
    assert restarts.delay_sec == FIRST_DELAY_SEC


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
def test_every_delay_is_within_bounds_and_no_restart_is_forgotten(runs: list[float]) -> None:
    restarts = Restarts()
    for ran_sec in runs:
        restarts = restarts.after_exit(ran_sec)
        assert FIRST_DELAY_SEC <= restarts.delay_sec <= LONGEST_DELAY_SEC
    assert restarts.total == len(runs)
