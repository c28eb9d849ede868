from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from the0.local.processes import ORDER
from the0.local.supervisor import changes

names = st.lists(st.sampled_from(ORDER), unique=True)


def test_the_host_stops_first_and_starts_last() -> None:
    assert changes(ORDER, ())[0] == ["host", "nats", "s3", "mongo"]
    assert changes((), ("host", "nats", "mongo"))[1] == ["mongo", "nats", "host"]


@given(names, names)
def test_what_runs_afterwards_is_what_was_wanted(running: list[str], wanted: list[str]) -> None:
    stop, start = changes(running, wanted)
    assert (set(running) - set(stop)) | set(start) == set(wanted)
    assert not set(stop) & set(wanted)
    assert not set(start) & set(running)
