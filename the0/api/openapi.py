"""The OpenAPI 3.1 document, made of the route declarations and of nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from the0.api.routes import VARIABLE, Route
from the0.api.schemas import COMPONENTS

_REFUSALS = {"400": "What was given is wrong.", "401": "No token, or a wrong one."}


def document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """The whole document for these routes of this version of the platform."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = VARIABLE.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "the0 control API",
            "version": version,
            "description": "Custom bots, their instances, logs and state on one installation.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": COMPONENTS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "responses": _responses(route),
    }
    parameters = [*map(_path_parameter, route.variables), *_query_parameters(route)]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        content = _content("application/json", route.body)
        operation["requestBody"] = {**content, "required": route.body_required}
    if route.upload is not None:
        operation["requestBody"] = _content(route.upload, {})
    if route.public:
        operation["security"] = []
    return operation


def _responses(route: Route) -> dict[str, Any]:
    refusals = dict(_REFUSALS)
    if route.variables:
        refusals["404"] = "It certainly does not exist."
    if route.public:
        del refusals["401"]
    refusals |= {str(status): what for status, what in route.refusals.items()}
    answer = {route.media: {"schema": route.answer}}
    error = {"application/json": {"schema": route.error}}
    return {
        str(route.status): {"description": "Done.", "content": answer},
        **{str(one): {"description": what, "content": answer} for one, what in route.also.items()},
        **{status: {"description": why, "content": error} for status, why in refusals.items()},
        "default": {"description": "Any other error.", "content": error},
    }


def _content(media: str, schema: Any) -> dict[str, Any]:
    return {"required": True, "content": {media: {"schema": schema}}}


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(route: Route) -> Iterable[dict[str, Any]]:
    if isinstance(route.query.get("additionalProperties"), dict):
        # By OpenAPI's default each member of an object is a parameter of its own.
        yield {"name": "params", "in": "query", "schema": route.query}
    for name, schema in route.query.get("properties", {}).items():
        yield {
            "name": name,
            "in": "query",
            "description": schema.get("description", ""),
            "schema": {key: value for key, value in schema.items() if key != "description"},
        }
