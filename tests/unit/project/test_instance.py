"""Instances against their custom bot: faults by path, never a value, major steps refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.project.builders import SCHEMA
from the0.errors import Conflict, InvalidInput
from the0.project import Version, check_instance, check_update, parse_version

pytestmark = pytest.mark.usefixtures("schemas_here")


def custom(kind: str = "realtime", schema: object = None) -> dict:
    config = {"name": "my-bot", "type": kind, "schema": {"bot": schema or SCHEMA}}
    return {"version": "1.2.3", "config": config}


def instance(**fields: object) -> dict:
    given = {"name": "mine", "type": "realtime/my-bot", "version": "1.2.3"}
    return {**given, "symbol": "BTC", "amount": 1, **fields}


def test_a_sound_instance() -> None:
    assert check_instance(instance(), custom()) == []


def test_fields_of_the_platform_need_no_place_in_the_schema() -> None:
    fields = {"enabled": True, "resources": {"memory_mb": 64}, "restart": "never"}
    assert check_instance(instance(**fields), custom()) == []


def test_a_schema_may_describe_fields_of_the_platform() -> None:
    schema = {"properties": {"enabled": {"type": "boolean"}}}
    assert check_instance(instance(enabled="x"), custom(schema=schema)) == [
        "$.enabled: is not of type 'boolean'"
    ]


NUMBER = {"properties": {"retries": {"type": "integer"}}, "required": ["retries"]}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/definitions/x", "definitions": {"x": NUMBER}},
        {"allOf": [NUMBER]},
        {**NUMBER, "required": ["name", "retries"]},
    ],
)
def test_wherever_it_describes_them(schema: object) -> None:
    assert check_instance(instance(retries=5), custom(schema=schema)) == []
    assert check_instance(instance(retries="5"), custom(schema=schema)) == [
        "$.retries: is not of type 'integer'"
    ]
    assert check_instance(instance(), custom(schema=schema)) == ["$.retries: is required"]


def test_every_fault_by_path() -> None:
    value = instance(symbol=7, mode="fast", extra=1, limits={})
    del value["amount"]
    faults = check_instance(value, custom())
    assert faults == [
        "$.amount: is required",
        "$.limits.max: is required",
        "$.limits.min: is required",
        "$.mode: is not one of ['paper', 'live']",
        "$.symbol: is not of type 'string'",
        "$: Additional properties are not allowed ('extra' was unexpected)",
    ]


@pytest.mark.parametrize(
    ("schema", "value", "text"),
    [
        ({"maxLength": 3}, "secret-4711", "is too long"),
        ({"type": "number"}, "secret-4711", "is not of type 'number'"),
        ({"enum": ["a"]}, "secret-4711", "is not one of ['a']"),
        ({"const": "a"}, "secret-4711", "'a' was expected"),
        ({"pattern": "^x$"}, "secret-4711", "does not match '^x$'"),
        ({"not": {}}, "secret-4711", "should not be valid under {}"),
        ({"minimum": 10}, 1, "is less than the minimum of 10"),
        ({"uniqueItems": True}, ["secret-4711"] * 2, "has non-unique elements"),
        ({"items": [], "additionalItems": False}, ["secret-4711"], "has more items than are"),
        ({"items": False}, ["secret-4711"], "has something that the schema rules out"),
        ({"anyOf": [{"type": "null"}]}, "secret-4711", "is not valid under any of"),
        ({"contains": {"type": "null"}}, ["secret-4711"], "has no item of the kind"),
        ({"propertyNames": {"pattern": "^x"}}, {"secret-4711": 1}, "the name of a field does not"),
    ],
)
def test_values_are_never_repeated(schema: object, value: object, text: str) -> None:
    whole = {"properties": {"key": schema}}
    (fault,) = check_instance(instance(key=value), custom(schema=whole))
    assert fault.startswith(f"$.key: {text}")
    assert "4711" not in fault


@pytest.mark.parametrize(
    ("schema", "value", "text"),
    [
        ({"pattern": "["}, "x", "the schema asks for a pattern: '[' is no regular expression"),
        ({"multipleOf": 0.01}, 10**400, "a number is too large for what the schema asks of it"),
        ({"$ref": "#/no"}, "x", "the schema has a $ref to something that is no schema"),
    ],
)
def test_a_schema_that_cannot_be_applied_is_a_fault(
    schema: object, value: object, text: str
) -> None:
    """Of a document that somebody else wrote: at a deployment they are refused."""
    whole = {"properties": {"key": schema}, "no": 3}
    (fault,) = check_instance(instance(key=value), custom(schema=whole))
    assert fault.startswith(f"$: {text}")


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"name": ""}, "$.name"),
        ({"name": 5}, "$.name"),
        ({"type": "realtime/other"}, "$.type"),
        ({"type": "scheduled/my-bot"}, "$.type"),
        ({"version": "1.2.4"}, "$.version"),
        ({"version": None}, "$.version"),
    ],
)
def test_the_reference_to_the_custom_bot(fields: dict, path: str) -> None:
    (fault,) = check_instance(instance(**fields), custom())
    assert fault.startswith(f"{path}: ")


def test_a_scheduled_instance_needs_its_schedule() -> None:
    value = instance(type="scheduled/my-bot")
    assert check_instance(value, custom("scheduled"))[0].startswith("$.schedule: is required")
    assert check_instance({**value, "schedule": "@daily"}, custom("scheduled")) == []


@pytest.mark.parametrize("value", [None, [], "text", 5])
def test_an_instance_is_an_object(value: object) -> None:
    assert check_instance(value, custom()) == ["$: an instance is a JSON object"]


@pytest.mark.parametrize("new", ["1.0.0", "1.9.0", "1.2.3", "1.2.4-rc.1"])
def test_minor_and_patch_steps_are_taken(new: str) -> None:
    check_update("1.2.3", new)


@pytest.mark.parametrize("new", ["2.0.0", "0.9.9", "11.2.3"])
def test_major_steps_are_refused(new: str) -> None:
    with pytest.raises(Conflict, match="major step"):
        check_update("1.2.3", new)


def test_what_is_no_version_is_said() -> None:
    with pytest.raises(InvalidInput, match="'latest' is not a version"):
        check_update("1.2.3", "latest")


@pytest.mark.parametrize(
    "text", ["1", "1.0", "01.0.0", "1.0.0-", "1.0.0+", "1.0.0 ", "1.0.0\n", "١.0.0", 1.0, None]
)
def test_not_versions(text: object) -> None:
    with pytest.raises(ValueError, match="is not a version"):
        parse_version(text)


def test_versions() -> None:
    assert parse_version("1.2.3-rc.1+build.5") == Version(1, 2, 3, "rc.1")


@given(st.tuples(*[st.integers(0, 999_999_999)] * 3))
def test_three_numbers_are_a_version(numbers: tuple[int, int, int]) -> None:
    assert parse_version(".".join(map(str, numbers)))[:3] == numbers
