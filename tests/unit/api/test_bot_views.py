"""Documents of any shape can be shown; an update stays within its custom bot and major version."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.api.bot_views import check_step, leaving, plain, readable, summary
from the0.errors import Conflict
from the0.models import BotType
from the0.repository import RawDocument

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text().filter(lambda key: "\0" not in key), inner)
    ),
    max_leaves=10,
)
REALTIME = BotType.REALTIME


@given(
    st.fixed_dictionaries(
        {"id": st.text(min_size=1)}, optional={"config": VALUES, "custom": VALUES}
    )
)
def test_any_document_with_an_id_has_a_line_in_the_list(document: dict[str, Any]) -> None:
    line = summary(REALTIME, document, {document["id"]: {"phase": "invalid"}})
    assert line["id"] == document["id"]
    assert line["name"]
    assert line["status"] == {"phase": "invalid"}
    plain(document.get("config"))


def test_what_cannot_be_decoded_or_has_no_id_is_left_to_the_runner() -> None:
    raws = [bson.encode({"id": "a"}), b"rubbish", bson.encode({"config": {}})]
    assert [one["id"] for one in readable(RawDocument(raw) for raw in raws)] == ["a"]


def test_what_json_cannot_say_is_null() -> None:
    assert plain({"n": float("nan")}) is None
    assert plain({"n": 2**60}) == {"n": 2**60}


def test_a_bot_that_is_leaving_is_shown_as_not_enabled() -> None:
    shown = leaving(BotType.SCHEDULED, {"id": "a", "phase": "stopping"})
    assert (shown["name"], shown["enabled"], shown["type"]) == ("a", False, "scheduled")


def custom(name: str, version: str) -> dict[str, Any]:
    return {"version": version, "config": {"name": name}}


@pytest.mark.parametrize("version", ["1.2.3", "1.3.0", "1.0.0"])
def test_minor_and_patch_steps_are_taken_both_ways(version: str) -> None:
    check_step(REALTIME, custom("sma", "1.2.3"), REALTIME, custom("sma", version))


@pytest.mark.parametrize(
    ("before", "kind", "after"),
    [
        (custom("sma", "1.0.0"), REALTIME, custom("sma", "2.0.0")),
        (custom("sma", "1.0.0"), REALTIME, custom("rsi", "1.0.0")),
        (custom("sma", "1.0.0"), BotType.SCHEDULED, custom("sma", "1.0.0")),
        ({}, REALTIME, custom("sma", "1.0.0")),
    ],
)
def test_another_bot_or_a_major_step_is_refused(
    before: dict[str, Any], kind: BotType, after: dict[str, Any]
) -> None:
    with pytest.raises(Conflict):
        check_step(REALTIME, before, kind, after)


def test_where_no_version_stands_that_is_said() -> None:
    before = {"config": {"name": "sma", "version": "1.0.0"}}
    check_step(REALTIME, before, REALTIME, custom("sma", "1.1.0"))
    with pytest.raises(Conflict, match=r"no version \(custom\.version\)"):
        check_step(REALTIME, {"config": {"name": "sma"}}, REALTIME, custom("sma", "1.1.0"))
