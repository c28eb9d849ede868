from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.agent.environment import process_environment
from the0.agent.launch import InvalidLaunch, Launch, parse
from the0.agent.paths import Paths

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = sorted({*Launch._fields, "state"} - {"keep"})
MINIMAL = {"bot_id": "b", "kind": "realtime", "commands": {"bot": ["python3"]}}


@given(JSON | st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_document_is_a_launch_or_refused(document: Any) -> None:
    with suppress(InvalidLaunch):
        assert isinstance(parse(document), Launch)


def test_the_document_of_the_protocol() -> None:
    launch = parse(
        {
            **MINIMAL,
            "config": '{"n": 9007199254740993}',
            "state": {"keep": "local"},
            "query": {"path": "/x", "params": {"a": 1}},
            "sync": {"interval_sec": 5, "later": 1},
            "disk_bytes": 7,
            "run_id": None,
            "unknown": {},
        }
    )
    assert launch.config == '{"n": 9007199254740993}'
    assert launch.keep == "local"
    assert launch.query
    assert launch.query.params == {"a": 1}
    assert (launch.sync.interval_sec, launch.sync.final_sec) == (5.0, 20.0)
    assert launch.disk_bytes == 7
    assert launch.run_id is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kind": "banana"}, "banana"),
        ({"commands": {}}, "'bot'"),
        ({"kind": "query"}, "'query'"),
        ({"sync": {"final_sec": "soon"}}, "soon"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidLaunch, match=named):
        parse({**MINIMAL, **change})


def test_a_flush_needs_no_command() -> None:
    assert parse({"bot_id": "b", "kind": "flush"}).kind == "flush"


def test_a_bot_sees_the_contract_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE0_TOKEN", "secret")
    launch = parse({**MINIMAL, "config": "{}", "timezone": "Europe/Berlin", "run_id": "r"})
    assert process_environment(launch, "bot", Paths(), {"PATH": "/bin"}) == {
        "PATH": "/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "TZ": "Europe/Berlin",
        "PYTHONUNBUFFERED": "1",
        "ID": "b",
        "BOT_ID": "b",
        "CONFIG": "{}",
        "BOT_CONFIG": "{}",
        "BOT_TYPE": "realtime",
        "STATE_DIR": "/state/.the0-state",
        "CODE_MOUNT_DIR": "bot",
        "SCRIPT_PATH": "",
        "ENTRYPOINT_TYPE": "bot",
        "THE0_QUERY_PORT": "9476",
        "RUN_ID": "r",
    }


def test_a_query_sees_its_parameters() -> None:
    launch = parse(
        {
            "bot_id": "b",
            "kind": "query",
            "commands": {"query": ["x"]},
            "entrypoints": {"query": "q.py"},
            "query": {"path": "/p", "params": {"limit": 5, "name": "a b", "all": True}},
        }
    )
    seen = process_environment(launch, "query", Paths())
    assert seen["QUERY_PATH"] == "/p"
    assert seen["QUERY_PARAMS"] == '{"limit":5,"name":"a b","all":true}'
    assert (seen["QUERY_PARAM_limit"], seen["QUERY_PARAM_name"]) == ("5", "a b")
    assert (seen["QUERY_PARAM_all"], seen["SCRIPT_PATH"]) == ("true", "q.py")
    assert seen["BOT_TYPE"] == "scheduled"


@pytest.mark.parametrize(
    "params", [{"a": "\0"}, {"a": "\ud800"}, {"\ud800": 1}, {"\0": 1}, {"=": 1}, {"": 1}]
)
def test_what_no_environment_can_hold_is_only_in_the_whole(params: dict[str, Any]) -> None:
    given = {"path": "/p", "params": {**params, "good": 1}}
    launch = parse({"bot_id": "b", "kind": "query", "commands": {"query": ["x"]}, "query": given})
    seen = process_environment(launch, "query", Paths())
    assert json.loads(seen["QUERY_PARAMS"]) == given["params"]
    assert [name for name in seen if name.startswith("QUERY_PARAM_")] == ["QUERY_PARAM_good"]
