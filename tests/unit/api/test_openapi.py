"""The OpenAPI document is made of the routes, and holds together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator

from the0.api.openapi import document
from the0.api.routes import Answer, Call, Route
from the0.api.schemas import BOT_DETAIL, COMPONENTS, NEW_BOT, PURGE_QUERY


async def _handler(_: Call) -> Answer:
    return Answer({})


ROUTES = [
    Route("POST", "/bots/<id>", "make", "Make it.", _handler, BOT_DETAIL, status=201, body=NEW_BOT),
    Route("DELETE", "/bots/<id>", "end", "End it.", _handler, BOT_DETAIL, query=PURGE_QUERY),
    Route("POST", "/zip", "zip", "Send it.", _handler, {}, upload="application/zip"),
    Route("GET", "/health", "health", "Always ok.", _handler, {}, public=True),
]


def test_paths_parameters_bodies_and_answers_stand_in_the_document() -> None:
    page = document(ROUTES, "1.2.3")
    assert (page["openapi"], page["info"]["version"]) == ("3.1.0", "1.2.3")
    make = page["paths"]["/bots/{id}"]["post"]
    assert make["parameters"][0] == {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
    }
    assert make["requestBody"]["content"]["application/json"]["schema"] == NEW_BOT
    assert {"201", "400", "401", "404", "default"} == set(make["responses"])
    names = [one["name"] for one in page["paths"]["/bots/{id}"]["delete"]["parameters"]]
    assert names == ["id", "purge"]
    assert "application/zip" in page["paths"]["/zip"]["post"]["requestBody"]["content"]


def test_what_needs_no_token_says_so() -> None:
    page = document(ROUTES, "1")
    assert page["security"] == [{"token": []}]
    assert page["paths"]["/health"]["get"]["security"] == []
    assert "401" not in page["paths"]["/health"]["get"]["responses"]


def test_every_reference_leads_somewhere_and_every_schema_is_one() -> None:
    page = document(ROUTES, "1")
    for reference in _values(page, "$ref"):
        assert reference.removeprefix("#/components/schemas/") in COMPONENTS
    for schema in [*COMPONENTS.values(), *_values(page["paths"], "schema")]:
        Draft202012Validator.check_schema(schema)


def _values(node: Any, key: str) -> Iterator[Any]:
    if isinstance(node, dict):
        if key in node:
            yield node[key]
        for child in node.values():
            yield from _values(child, key)
    elif isinstance(node, list):
        for child in node:
            yield from _values(child, key)
