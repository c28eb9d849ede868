from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from the0.gateway.pace import BYTES_PER_SEC, Pace

MIB = 1 << 20


def test_lines_gather_for_an_interval_and_for_what_the_last_put_cost() -> None:
    pace = Pace(60)
    assert pace.due("new", 5) == 65
    pace.stored("small", 1000, now=0)
    assert pace.due("small", 5) == 60
    pace.stored("large", 20 * MIB, now=0)
    assert pace.due("large", 5) == 20 * MIB / BYTES_PER_SEC
    assert pace.due("large", 1000) == 1000


def test_without_an_interval_only_what_the_last_put_cost_counts() -> None:
    pace = Pace()
    assert pace.due("new", 5) == 5
    pace.stored("small", 50 * 1024, now=0)
    assert pace.due("small", 0.5) == 1
    pace.stored("large", 20 * MIB, now=0)
    assert pace.due("large", 5) == 20 * MIB / BYTES_PER_SEC


@given(
    st.lists(st.tuples(st.floats(0, 100), st.integers(0, 1000)), max_size=50),
    st.integers(0, 20 * MIB),
    st.sampled_from([0.0, 60.0]),
)
def test_nothing_costs_more_than_the_rate(
    asks: list[tuple[float, int]], size: int, interval_sec: float
) -> None:
    """A day that only grows; each ask is some seconds after the one before."""
    pace, now, asked, paid = Pace(interval_sec), 0.0, 0.0, 0
    for after, more in asks:
        asked, size = asked + after, size + more
        now = max(now, pace.due("bot", asked))
        assert paid <= BYTES_PER_SEC * now * (1 + 1e-9)
        pace.stored("bot", size, now)
        paid += size


def test_what_is_paid_for_is_forgotten() -> None:
    pace = Pace(60)
    for bot_id, size in (("small", 1), ("large", 20 * MIB)):
        pace.stored(bot_id, size, now=0)
    pace.forget(now=100)
    assert pace._last.keys() == {"large"}
