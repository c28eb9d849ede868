"""Reads of MongoDB: what changed, what is missing, and when that is believed."""

from __future__ import annotations

from typing import Any

import bson
from hypothesis import given
from hypothesis import strategies as st

from the0.core.desired import DOUBT_SEC, Desired
from the0.core.plan import Absence, Invalid
from the0.documents import parse_bot
from the0.models import Bot, BotType
from the0.repository import RawDocument
from the0.settings import LimitSettings


def desired() -> Desired:
    return Desired(lambda one: parse_bot(one, BotType.REALTIME, LimitSettings()))


def document(bot_id: str, **more: Any) -> dict[str, Any]:
    custom = {
        "version": "1.0.0",
        "filePath": "u/b/1.0.0",
        "config": {"name": "b", "runtime": "python3.11", "entrypoints": {"bot": "main.py"}},
    }
    return {"id": bot_id, "config": {}, "custom": custom, **more}


def raw(*documents: dict[str, Any]) -> list[RawDocument]:
    return [RawDocument(bson.encode(one)) for one in documents]


def read(
    state: Desired, *documents: dict[str, Any], expected: tuple[str, ...] = (), now: float = 0.0
) -> Any:
    state.begin_read()
    return state.read(raw(*documents), expected, now)


def test_nothing_is_known_before_the_first_read() -> None:
    state = desired()
    assert state.get("a") is Absence.UNKNOWN
    read(state)
    assert state.get("a") is Absence.MISSING


def test_only_what_changed_is_parsed_again() -> None:
    state = desired()
    assert read(state, document("a"), document("b")).changed == {"a", "b"}
    before = state.get("a")
    assert read(state, document("a"), document("b", config={"v": 1})).changed == {"b"}
    assert state.get("a") is before
    for value in (True, 1.0, 1):
        assert read(state, document("a"), document("b", config={"v": value})).changed in (
            {"b"},
            set(),
        )
        found = state.get("b")
        assert isinstance(found, Bot)
        assert type(found.config["v"]) is type(value)


def test_what_cannot_be_understood_is_set_aside() -> None:
    state = desired()
    report = read(state, document("a"), {"id": "b", "config": 3}, {"id": 7}, {})
    assert isinstance(state.get("a"), Bot)
    assert isinstance(state.get("b"), Invalid)
    assert report.nameless == 2


def test_a_read_that_shrank_by_more_than_half_must_be_seen_twice() -> None:
    state = desired()
    read(state, *(document(one) for one in "abcd"))
    assert read(state, document("a")).doubted == 3
    assert isinstance(state.get("b"), Bot)
    assert read(state, document("a"), now=DOUBT_SEC).changed == {"b", "c", "d"}
    assert state.get("b") is Absence.MISSING


def test_reads_in_quick_succession_tell_no_more_than_one() -> None:
    state = desired()
    read(state, *(document(one) for one in "abcd"))
    for now in (1.0, 1.1, 5.0, 0.9 + DOUBT_SEC):
        assert read(state, now=now).doubted == 4
        assert isinstance(state.get("a"), Bot)
    assert read(state, document("b"), now=0.95 + DOUBT_SEC).doubted == 3
    assert read(state, document("b"), now=1.0 + DOUBT_SEC).changed == {"a", "c", "d"}


def test_a_doubt_that_is_over_begins_anew() -> None:
    state = desired()
    both = document("a"), document("b")
    read(state, *both)
    read(state, now=1.0)
    read(state, *both, now=6.0)
    assert read(state, now=1.0 + DOUBT_SEC).doubted == 2


def test_a_bot_that_is_known_to_be_gone_is_not_doubted_while_its_container_ends() -> None:
    state = desired()
    read(state, document("a"))
    state.remove("a")
    assert read(state, expected=("a",)).doubted == 0
    assert state.get("a") is Absence.MISSING
    read(state, document("b"), document("c"), expected=("a",), now=1.0)
    read(state, expected=("a", "b", "c"), now=2.0)
    read(state, expected=("a", "b", "c"), now=2.0 + DOUBT_SEC)
    assert read(state, expected=("a", "b", "c"), now=3.0 + DOUBT_SEC).doubted == 0
    assert {state.get(one) for one in "abc"} == {Absence.MISSING}
    read(state, document("a"), document("b"), document("c"), now=4.0 + DOUBT_SEC)
    assert read(state, now=5.0 + DOUBT_SEC).doubted == 3


def test_of_two_documents_with_one_id_the_same_one_counts_at_every_read() -> None:
    state = desired()
    first, second = document("a", config={"v": 1}), document("a", config={"v": 2})
    assert not read(state, first).shared
    for order in ((first, second), (second, first), (first, second)):
        report = read(state, *order)
        assert (report.shared, report.changed) == ({"a"}, set())
        found = state.get("a")
        assert isinstance(found, Bot)
        assert found.config["v"] == 1
    assert read(state, second).changed == {"a"}


def test_half_or_less_is_believed_at_once() -> None:
    state = desired()
    read(state, *(document(one) for one in "abcd"))
    assert read(state, document("a"), document("b")).changed == {"c", "d"}


def test_an_empty_first_read_is_doubted_while_containers_run() -> None:
    state = desired()
    assert read(state, expected=("a", "b")).doubted == 2
    assert state.get("a") is Absence.UNKNOWN
    read(state, expected=("a", "b"), now=DOUBT_SEC)
    assert state.get("a") is Absence.MISSING


def test_what_was_taken_in_during_a_read_is_newer_than_the_read() -> None:
    state = desired()
    read(state, document("a"), document("b"))
    state.begin_read()
    state.put("a", document("a", enabled=False))
    state.put("new", document("new"))
    state.remove("b")
    state.read(raw(document("a", config={"old": 1}), document("b")), (), 0.0)
    found = state.get("a")
    assert isinstance(found, Bot)
    assert not found.enabled
    assert isinstance(state.get("new"), Bot)
    assert state.get("b") is Absence.MISSING
    read(state, document("a"), document("new"))
    again = state.get("a")
    assert isinstance(again, Bot)
    assert again.enabled


@given(st.lists(st.sets(st.sampled_from("abcdef")), max_size=8))
def test_two_equal_reads_in_a_row_are_the_truth(reads: list[set[str]]) -> None:
    state = desired()
    for number, ids in enumerate(reads):
        read(state, *(document(one) for one in sorted(ids)), now=number * DOUBT_SEC)
        for bot_id in ids:
            assert isinstance(state.get(bot_id), Bot)
        assert not any(state.get(one) is Absence.MISSING for one in ids)
    if reads:
        last = len(reads) * DOUBT_SEC
        read(state, *(document(one) for one in sorted(reads[-1])), now=last)
        assert set(state.ids()) == reads[-1]
