from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import Decimal128, Int64
from hypothesis import given, settings
from hypothesis import strategies as st

from the0.documents import MAX_VARIABLE_BYTES, document_id, is_enabled, parse_bot
from the0.errors import InvalidDocument
from the0.models import Bot, BotType, Resources, RestartPolicy
from the0.settings import LimitSettings

LIMITS = LimitSettings()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "id",
        "_id",
        "config",
        "custom",
        "enabled",
        "filePath",
        "version",
        "runtime",
        "entrypoints",
        "bot",
        "query",
        "resources",
        "memory_mb",
        "cpus",
        "restart",
        "stop_grace_sec",
        "updatedAt",
        "name",
    ]
)
DOCUMENTS = st.recursive(
    JSON, lambda inner: st.dictionaries(FIELDS, inner, max_size=8), max_leaves=30
)


def document(**config: Any) -> dict[str, Any]:
    return {
        "id": "bot-1",
        "config": {"symbol": "BTC/USD", **config},
        "custom": {
            "version": "1.2.0",
            "filePath": "user/grid/1.2.0",
            "updatedAt": datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=UTC),
            "config": {
                "name": "grid",
                "runtime": "python3.11",
                "entrypoints": {"bot": "main.py", "query": "query.py", "backtest": "b.py"},
            },
        },
    }


def parse(given: Any) -> Bot:
    return parse_bot(given, BotType.REALTIME, LIMITS)


def faults(given: Any) -> str:
    with pytest.raises(InvalidDocument) as refused:
        parse(given)
    return refused.value.message


def test_a_whole_document() -> None:
    assert parse(document(name="mine")) == Bot(
        id="bot-1",
        type=BotType.REALTIME,
        enabled=True,
        config={"symbol": "BTC/USD", "name": "mine"},
        name="mine",
        version="1.2.0",
        runtime="python3.11",
        code_key="user/grid/1.2.0",
        entrypoints={"bot": "main.py", "query": "query.py"},
        updated_at=datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC),
    )


def test_what_may_be_absent() -> None:
    given = document()
    given["custom"] = {
        "filePath": "u/g/1",
        "config": {"version": "1", "entrypoints": {"bot": "main", "query": None}},
    }
    bot = parse(given)
    assert (bot.runtime, bot.version, bot.name) == ("python3.11", "1", "bot-1")
    assert (bot.entrypoints, bot.updated_at) == ({"bot": "main"}, None)


def test_an_owner_s_own_limits_restart_policy_and_grace() -> None:
    wanted = {"memory_mb": 64, "cpus": 0.5, "pids": 32, "disk_mb": 100}
    bot = parse(document(resources=wanted, restart="on-failure", stop_grace_sec="1m"))
    assert bot.resources == Resources(64, 0.5, 32, 100)
    assert (bot.restart, bot.stop_grace_sec) == (RestartPolicy.ON_FAILURE, 60.0)


def test_what_the_bot_s_own_schema_describes_is_the_bot_s() -> None:
    own = {"restart": True, "resources": ["gpu"], "stop_grace_sec": "soon", "enabled": False}
    given = document(**own)
    given["custom"]["config"]["schema"] = {"bot": {"allOf": [{"properties": own}]}}
    bot = parse(given)
    assert bot.config == given["config"]
    assert (bot.resources, bot.restart, bot.stop_grace_sec) == (
        Resources(),
        RestartPolicy.ALWAYS,
        None,
    )
    assert not bot.enabled


@pytest.mark.parametrize(
    ("given", "bot_id"),
    [
        ({"id": "a", "_id": "b"}, "a"),
        ({"_id": "b"}, "b"),
        ({"id": "", "_id": "b"}, "b"),
        ({"id": 7}, None),
        ({"id": None, "_id": object()}, None),
        ("text", None),
        (None, None),
    ],
)
def test_the_id(given: Any, bot_id: str | None) -> None:
    assert document_id(given) == bot_id


@pytest.mark.parametrize("off", [False, "false", "0", 0, 0.0, "False", Int64(0)])
@pytest.mark.parametrize("place", ["document", "config"])
def test_off_in_either_place_disables(off: Any, place: str) -> None:
    given = document()
    (given if place == "document" else given["config"])["enabled"] = off
    assert not is_enabled(given)
    assert not parse(given).enabled


@pytest.mark.parametrize("on", [True, "true", 1, None, "yes", [], {}])
def test_anything_else_leaves_it_enabled(on: Any) -> None:
    assert is_enabled({"enabled": on, "config": {"enabled": on}})
    assert is_enabled({"config": None})


def test_a_disabled_config_does_not_hide_behind_an_enabled_document() -> None:
    assert not is_enabled({"enabled": True, "config": {"enabled": "false"}})


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"resources": []}, "config.resources"),
        ({"resources": {"memory_mb": 10**9}}, "config.resources.memory_mb is 1000000000"),
        ({"resources": {"memory_mb": 1.5}}, "config.resources.memory_mb"),
        ({"resources": {"memory_mb": True}}, "config.resources.memory_mb"),
        ({"resources": {"cpus": "all"}}, "config.resources.cpus"),
        ({"resources": {"pids": 1}}, "config.resources.pids"),
        ({"resources": {"disk_mb": -5}}, "config.resources.disk_mb"),
        ({"restart": "sometimes"}, "config.restart"),
        ({"restart": []}, "config.restart"),
        ({"stop_grace_sec": "soon"}, "config.stop_grace_sec"),
        ({"stop_grace_sec": 10**9}, "config.stop_grace_sec"),
        ({"deep": {"er": [1, float("inf")]}}, "config.deep.er[1]"),
        ({"huge": 10**40}, "config.huge"),
        ({"price": Decimal128("NaN")}, "config.price"),
    ],
)
def test_a_wrong_config_is_named_by_bot_and_path(config: dict[str, Any], path: str) -> None:
    message = faults(document(**config))
    assert "'bot-1'" in message
    assert path in message


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda d: d.pop("config"), "config is missing"),
        (lambda d: d.update(config=[1]), "config is of the type list"),
        (lambda d: d.pop("custom"), "custom is missing"),
        (lambda d: d["custom"].pop("config"), "custom.config is missing"),
        (lambda d: d["custom"].update(config="x"), "custom.config is 'x'"),
        (lambda d: d["custom"].pop("filePath"), "custom.filePath is missing"),
        (lambda d: d["custom"].update(filePath=7), "custom.filePath is 7"),
        (lambda d: d["custom"]["config"].pop("entrypoints"), "custom.config.entrypoints"),
        (lambda d: d["custom"]["config"]["entrypoints"].pop("bot"), "entrypoints.bot is missing"),
        (lambda d: d["custom"]["config"].update(runtime=3), "custom.config.runtime is 3"),
        (lambda d: d["custom"].update(version=2), "custom.version is 2"),
    ],
)
def test_a_wrong_document_is_named_by_path(change: Any, path: str) -> None:
    given = document()
    change(given)
    assert path in faults(given)


def test_what_no_process_can_be_given_is_refused() -> None:
    """A process dies of it before its first instruction, again and again."""
    room = MAX_VARIABLE_BYTES - len('BOT_CONFIG={"symbol":"BTC/USD","x":""}\0')
    assert parse(document(x="x" * room)).config["x"]
    assert "config needs 131,073 bytes" in faults(document(x="x" * (room + 1)))
    assert "id needs" in faults({**document(), "id": "x" * MAX_VARIABLE_BYTES})
    assert "id holds a NUL" in faults({**document(), "id": "a\0b"})


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../b", "a//b", "a/", "a\\b", "a\nb", "a\0b", "x" * 2000]
)
def test_paths_stay_inside(path: str) -> None:
    given = document()
    given["custom"]["filePath"] = path
    given["custom"]["config"]["entrypoints"] = {"bot": path, "query": path}
    message = faults(given)
    for field in ("custom.filePath", "entrypoints.bot", "entrypoints.query"):
        assert field in message


def test_all_faults_are_told_at_once() -> None:
    assert faults({"id": "x", "config": {"restart": 1}}).count("\n  - ") == 2


@given(DOCUMENTS)
@settings(max_examples=400, deadline=None)
def test_any_json_is_a_bot_or_an_invalid_document(given_document: Any) -> None:
    for type_ in BotType:
        with suppress(InvalidDocument):
            bot = parse_bot(given_document, type_, LIMITS)
            assert bot.id == document_id(given_document)
            assert bot.spec_hash.startswith("v1:")


@given(JSON, JSON)
@settings(max_examples=200, deadline=None)
def test_any_config_costs_only_itself(config: Any, resources: Any) -> None:
    given_document = document(any=config, resources=resources)
    with suppress(InvalidDocument):
        assert parse(given_document).code_key == "user/grid/1.2.0"
