from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from the0.storage import keys

odd = st.text(st.sampled_from("ab/.\\=%+ \n\0-_~üA2E"), max_size=12) | st.text(max_size=700)


@pytest.mark.parametrize("bot_id", ["bot-1", "a.b_c", "user/bot", "Ünï 1", "550e8400-e29b", ".a"])
def test_plain_ids_stand_in_keys_as_they_are(bot_id: str) -> None:
    assert keys.state_key(bot_id) == f"{bot_id}/state.tar.gz"
    assert keys.log_key(bot_id, "20260131") == f"logs/{bot_id}/20260131.log"
    assert keys.result_key(bot_id, "r") == f"{bot_id}/r/result.json"


@pytest.mark.parametrize(
    ("bot_id", "name"),
    [
        ("", "="),
        ("..", "==2E=2E"),
        ("a//b", "=a=2F=2Fb"),
        ("/a", "==2Fa"),
        ("a\\b", "=a=5Cb"),
        ("a\n", "=a=0A"),
        ("=a", "==3Da"),
        ("50%41", "=50=2541"),
    ],
)
def test_other_ids_are_quoted_as_a_whole(bot_id: str, name: str) -> None:
    assert keys.state_key(bot_id) == f"{name}/state.tar.gz"


@given(odd, odd)
@example("a", "=a")
@example("..", "==2E=2E")
@example("\ud800", "=\ud800")
@example("x" * 513, "x" * 514)
def test_no_two_bots_share_a_name(first: str, second: str) -> None:
    if first != second:
        assert keys.object_name(first) != keys.object_name(second)
        assert keys.file_name(first) != keys.file_name(second)
        assert keys.trash_prefix(first) != keys.trash_prefix(second)


@given(odd)
def test_names_are_safe(bot_id: str) -> None:
    segments = keys.state_key(bot_id).split("/")
    assert not {"", ".", ".."} & set(segments)
    assert len(keys.state_key(bot_id).encode()) <= 1024
    name = keys.file_name(bot_id)
    assert "/" not in name
    assert name not in ("", ".", "..")
    assert len(name.encode()) <= 200
    assert name.isascii()


@given(odd)
def test_nobody_owns_the_trash(bot_id: str) -> None:
    assert not keys.state_key(bot_id).startswith(keys.trash_prefix())
    at = datetime(2026, 1, 31, 12, 30, 0, 5, tzinfo=UTC)
    assert keys.trashed_at(keys.trash_key(bot_id, at)) == at
    assert keys.trashed_at(keys.state_key(bot_id)) is None


@given(odd, odd)
def test_a_day_is_only_its_own_bots(bot_id: str, other: str) -> None:
    key = keys.log_key(bot_id, "20260131")
    assert keys.day_of_log_key(bot_id, key) == "20260131"
    if other != bot_id:
        assert keys.day_of_log_key(other, key) is None


@pytest.mark.parametrize(
    "text", ["20261301", "2026013", "２０２６０１３１", "20260131x", "abcdefgh"]
)
def test_what_is_no_day(text: str) -> None:
    assert not keys.is_day(text)
