from __future__ import annotations

from pathlib import Path

import pytest

from the0.errors import TooManyRequests
from the0.gateway.app import authenticated
from the0.gateway.bounds import InFlight, RateLimit
from the0.gateway.errors import Superseded, UnknownLaunch
from the0.gateway.state_writer import Doubts, check_may_write, decide
from the0.launches import Launch, LaunchStore
from the0.storage.state import StoredState


@pytest.mark.parametrize(
    ("stored", "by", "base", "outcome"),
    [
        (None, "", "", "store"),
        (None, "", "older", "store"),
        ("older", "other", "older", "store"),
        ("mine", "other", "older", "kept"),
        ("mine", "me", "older", "kept"),
        ("foreign", "", "older", "conflict"),
        ("foreign", "other", "older", "conflict"),
        ("foreign", "other", "", "conflict"),
        ("lost answer", "me", "older", "store"),
        ("etag:1", "", "etag:1", "store"),
    ],
)
def test_whose_state_is_replaced(stored: str | None, by: str, base: str, outcome: str) -> None:
    found = None if stored is None else StoredState(stored, "", 1, by)
    assert decide(found, base, StoredState("mine", "", 1, "me")) == outcome


def launch(**changed: object) -> tuple[Launch, str]:
    return Launch.new(
        installation="i", bot_id="bot", kind="realtime", code_key="k", document={}, **changed
    )  # type: ignore[arg-type]


def test_the_right_token_opens_and_any_other_does_not(tmp_path: Path) -> None:
    store = LaunchStore(tmp_path)
    known, token = launch()
    other, other_token = launch()
    store.write(known)
    assert authenticated(store, f"Bearer {known.launch}.{token}") == known
    for wrong in (
        None,
        "",
        "Bearer",
        f"Bearer {known.launch}",
        f"Bearer {known.launch}.",
        f"Bearer {known.launch}.{other_token}",
        f"Bearer {other.launch}.{other_token}",
        f"Bearer ../{known.launch}.{token}",
        f"Basic {known.launch}.{token}",
        f"Bearer {known.launch}.{token}é",
        f"Bearer {known.launch}.{known.token_sha256}",
    ):
        with pytest.raises(UnknownLaunch) as caught:
            authenticated(store, wrong)
        assert token not in str(caught.value)


def test_a_removed_launch_may_not_write() -> None:
    with pytest.raises(Superseded):
        check_may_write(None)


def test_a_doubtful_put_is_remembered_for_ten_minutes() -> None:
    doubts = Doubts()
    for bot_id, now in (("a", 0), ("b", 0), ("a", 500), ("c", 700)):
        doubts.add(bot_id, now)
    assert [doubts.about(bot_id, 800) for bot_id in "abcd"] == [True, False, True, False]
    assert list(doubts._since) == ["a", "c"], "what is settled takes no memory"


def test_requests_at_a_time_are_bounded_by_launch() -> None:
    flight = InFlight(2)
    with flight.enter("a"), flight.enter("a"), flight.enter("b"), pytest.raises(TooManyRequests):
        flight.enter("a").__enter__()
    with flight.enter("a"), flight.enter("a"):
        pass


def test_who_sent_too_much_waits_until_the_debt_is_paid() -> None:
    rate = RateLimit(bytes_per_sec=1024, burst_bytes=2048)
    rate.charge("loud", 4096, now=0.0)
    with pytest.raises(TooManyRequests, match=r"1 KiB of logs a second") as caught:
        rate.check("loud", now=0.0)
    assert caught.value.retry_after == pytest.approx(2.0)
    rate.check("quiet", now=0.0)
    rate.check("loud", now=2.0)
    rate.charge("loud", 1, now=2.0)
    with pytest.raises(TooManyRequests):
        rate.check("loud", now=2.0)


def test_credit_never_grows_beyond_the_burst() -> None:
    rate = RateLimit(bytes_per_sec=1024, burst_bytes=2048)
    rate.charge("bot", 0, now=0.0)
    rate.charge("bot", 2049, now=1e6)
    with pytest.raises(TooManyRequests):
        rate.check("bot", now=1e6)
