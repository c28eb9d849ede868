"""Queries of a bot, as bots import it: ``from the0 import query``. See :mod:`the0.sdk.query`."""

from the0 import __version__
from the0.sdk.query import (
    QueryRequest,
    get_config,
    get_params,
    handler,
    is_query_mode,
    run,
)
from the0.sdk.state import ReadOnlyStateError

__all__ = [
    "QueryRequest",
    "ReadOnlyStateError",
    "__version__",
    "get_config",
    "get_params",
    "handler",
    "is_query_mode",
    "run",
]
