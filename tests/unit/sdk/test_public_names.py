"""A bot written with the public the0-sdk finds every name of it here.

The names and parameters are those of 0.3.1 and of 0.4.0, which are the same.
"""

import importlib
import inspect

import pytest

PUBLIC = {
    "the0": {
        "LogLevel": None,
        "__version__": None,
        "error": ["message", "data"],
        "log": ["message", "data_or_level", "level"],
        "metric": ["metric_type", "data"],
        "parse": [],
        "query": None,
        "result": ["result_data"],
        "sleep": ["seconds"],
        "state": None,
        "success": ["message", "data"],
    },
    "the0.state": {
        "ReadOnlyStateError": None,
        "clear": [],
        "delete": ["key"],
        "exists": ["key"],
        "get": ["key", "default"],
        "list": [],
        "set": ["key", "value"],
    },
    "the0.query": {
        "QueryRequest": ["path", "params"],
        "ReadOnlyStateError": None,
        "__version__": None,
        "get_config": [],
        "get_params": [],
        "handler": ["path"],
        "is_query_mode": [],
        "run": [],
    },
}


@pytest.mark.parametrize(
    ("module", "name", "parameters"),
    [(module, *one) for module, names in PUBLIC.items() for one in names.items()],
)
def test_a_name_of_the_public_sdk(module: str, name: str, parameters: list[str] | None) -> None:
    found = getattr(importlib.import_module(module), name)
    if parameters is not None:
        assert list(inspect.signature(found).parameters) == parameters
