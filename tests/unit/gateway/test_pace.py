from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from the0.gateway.pace import BYTES_PER_SEC, Pace

MIB = 1 << 20


def test_lines_gather_for_an_interval_and_for_what_the_last_put_cost() -> None:
    pace = Pace(60)
    assert pace.due("new", 5, gathers=True) == 65
    pace.stored("small", 1000, now=0)
    assert pace.due("small", 5, gathers=True) == 60
    pace.stored("large", 20 * MIB, now=0)
    assert pace.due("large", 5, gathers=True) == 20 * MIB / BYTES_PER_SEC
    assert pace.due("large", 1000, gathers=True) == 1000


def test_the_end_of_a_run_waits_only_for_what_the_last_put_cost() -> None:
    pace = Pace(60)
    assert pace.due("new", 5, gathers=False) == 5
    pace.stored("small", 50 * 1024, now=0)
    assert pace.due("small", 0.5, gathers=False) == 1
    pace.stored("large", 20 * MIB, now=0)
    assert pace.due("large", 5, gathers=False) == 20 * MIB / BYTES_PER_SEC


@given(
    st.lists(st.tuples(st.floats(0, 100), st.integers(0, 1000), st.booleans()), max_size=50),
    st.integers(0, 20 * MIB),
)
def test_no_order_of_ends_and_lines_costs_more_than_the_rate(
    asks: list[tuple[float, int, bool]], size: int
) -> None:
    """A day that only grows; each ask is some seconds after the one before."""
    pace, now, asked, paid = Pace(60), 0.0, 0.0, 0
    for after, more, gathers in asks:
        asked, size = asked + after, size + more
        now = max(now, pace.due("bot", asked, gathers=gathers))
        assert paid <= BYTES_PER_SEC * now * (1 + 1e-9)
        pace.stored("bot", size, now)
        paid += size


def test_what_is_paid_for_is_forgotten() -> None:
    pace = Pace(60)
    for bot_id, size in (("small", 1), ("large", 20 * MIB)):
        pace.stored(bot_id, size, now=0)
    pace.forget(now=100)
    assert pace._last.keys() == {"large"}
