"""Which bot a person means."""

from __future__ import annotations

import pytest

from the0.cli.bots import choose
from the0.errors import Conflict, NotFound

BOTS = [
    {"id": "abc1", "name": "btc"},
    {"id": "abc2", "name": "eth"},
    {"id": "btc", "name": "other"},
    {"id": "xyz", "name": "twin"},
    {"id": "uvw", "name": "twin"},
]


@pytest.mark.parametrize(
    ("ref", "bot_id"), [("abc1", "abc1"), ("btc", "btc"), ("eth", "abc2"), ("x", "xyz")]
)
def test_the_id_wins_then_the_name_then_the_beginning_of_the_id(ref: str, bot_id: str) -> None:
    assert choose(BOTS, ref) == bot_id


@pytest.mark.parametrize("ref", ["abc", "twin"])
def test_what_names_several_is_refused_with_all_of_them(ref: str) -> None:
    with pytest.raises(Conflict, match=r"names 2 bots: \w+ \(\w+\), \w+ \(\w+\)"):
        choose(BOTS, ref)


@pytest.mark.parametrize("ref", ["", "nobody"])
def test_what_names_none_is_not_found(ref: str) -> None:
    with pytest.raises(NotFound, match="the0 bot list"):
        choose(BOTS, ref)
