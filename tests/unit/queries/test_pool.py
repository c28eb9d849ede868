"""The pool's bookkeeping: who is taken, who leaves, how many there should be."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from the0.queries.pool import MEMBER_SEC, REPLACED_SEC, Demand, Member, Pool
from the0.settings import QueryPoolSettings

SETTINGS = QueryPoolSettings(min_waiting=0, max_waiting=4, idle_sec=900.0)
IMAGES = ("sha256:old", "sha256:new")


def member(number: int, image: str = "sha256:new", born: float = 0.0) -> Member:
    return Member(f"launch-{number}", f"ref-{number}", image, born)


def test_the_longest_waiting_of_the_right_image_is_taken() -> None:
    pool = Pool(SETTINGS)
    for number, image in enumerate(("sha256:old", "sha256:new", "sha256:new")):
        pool.put(member(number, image))
    taken = [pool.take("sha256:new", 0.0) for _ in range(3)]
    assert taken == [member(1), member(2), None]
    assert len(pool) == 1


def test_those_of_another_image_the_old_and_the_superfluous_leave() -> None:
    pool = Pool(replace(SETTINGS, min_waiting=1))
    pool.put(member(1, "sha256:old", born=MEMBER_SEC))
    pool.put(member(2, born=0.0))
    pool.put(member(3, born=MEMBER_SEC))
    pool.put(member(4, born=MEMBER_SEC))
    leaving = pool.surplus("sha256:new", MEMBER_SEC + 1)
    assert {one.launch for one in leaving} == {"launch-1", "launch-2", "launch-4"}
    assert pool.take("sha256:new", MEMBER_SEC + 1) == member(3, born=MEMBER_SEC)


def test_what_is_coming_is_not_lacking() -> None:
    pool = Pool(replace(SETTINGS, min_waiting=3))
    assert pool.lacking(0.0) == 3
    pool.coming = 2
    assert pool.lacking(0.0) == 1
    pool.put(member(1))
    assert pool.lacking(0.0) == 0


def test_demand_decides_between_the_bounds() -> None:
    pool = Pool(replace(SETTINGS, min_waiting=1, max_waiting=3))
    assert pool.lacking(0.0) == 1
    for _ in range(2):
        pool.take("sha256:new", 10.0)
    assert pool.lacking(10.0) == 2
    for _ in range(5):
        pool.take("sha256:new", 11.0)
    assert pool.lacking(11.0) == 3
    assert pool.lacking(11.0 + SETTINGS.idle_sec + 1) == 1


def test_zero_keeps_none_however_many_are_asked_for() -> None:
    pool = Pool(replace(SETTINGS, max_waiting=0))
    for _ in range(5):
        assert pool.take("sha256:new", 1.0) is None
    assert pool.lacking(1.0) == 0


def test_one_whose_container_ended_is_lost() -> None:
    pool = Pool(SETTINGS)
    pool.put(member(1))
    pool.put(member(2))
    assert pool.lose({"launch-1", "launch-9"}) == [member(1)]
    assert pool.lose({"launch-1"}) == []
    assert pool.take("sha256:new", 0.0) == member(2)


def peak(times: list[float], now: float, idle_sec: float) -> int:
    """By definition: the most that came within REPLACED_SEC, at the moments not too long ago."""
    counts = [
        sum(at - REPLACED_SEC <= other <= at for other in times[: index + 1])
        for index, at in enumerate(times)
        if at >= now - idle_sec
    ]
    return max(counts, default=0)


@settings(max_examples=300)
@given(
    st.lists(st.integers(0, 400), max_size=60),
    st.lists(st.integers(0, 600), min_size=1, max_size=10),
)
def test_demand_is_the_highest_peak_that_is_not_too_old(
    tenths: list[int], looks: list[int]
) -> None:
    demand, idle_sec = Demand(15.0), 15.0
    events = sorted([(at, 0) for at in tenths] + [(at, 1) for at in looks])
    times: list[float] = []
    for at, is_look in events:
        now = at / 10
        if is_look:
            assert demand.wanted(now) == peak(times, now, idle_sec)
        else:
            demand.note(now)
            times.append(now)


class Pools(RuleBasedStateMachine):
    """Whatever happens in whatever order, a container leaves its pool once."""

    @initialize(least=st.integers(0, 3), most=st.integers(0, 5))
    def begin(self, least: int, most: int) -> None:
        self.pool = Pool(replace(SETTINGS, min_waiting=least, max_waiting=most))
        self.most = max(least, most)
        self.now = 0.0
        self.made = 0
        self.inside: set[str] = set()
        self.gone: set[str] = set()

    @rule(seconds=st.floats(0, 2000))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(image=st.sampled_from(IMAGES))
    def put(self, image: str) -> None:
        self.made += 1
        self.pool.put(member(self.made, image, self.now))
        self.inside.add(f"launch-{self.made}")

    @rule(image=st.sampled_from(IMAGES))
    def take(self, image: str) -> None:
        taken = self.pool.take(image, self.now)
        if taken:
            assert taken.image == image
            self.leave(taken)

    @rule(image=st.sampled_from(IMAGES))
    def tidy(self, image: str) -> None:
        for one in self.pool.surplus(image, self.now):
            self.leave(one)
        assert len(self.pool) <= self.most

    @rule(number=st.integers(1, 50))
    def lose(self, number: int) -> None:
        for one in self.pool.lose({f"launch-{number}"}):
            self.leave(one)

    def leave(self, one: Member) -> None:
        assert one.launch not in self.gone
        self.gone.add(one.launch)
        self.inside.remove(one.launch)

    @invariant()
    def those_inside_are_those_that_did_not_leave(self) -> None:
        if hasattr(self, "pool"):
            assert len(self.pool) == len(self.inside)


TestPools = Pools.TestCase
