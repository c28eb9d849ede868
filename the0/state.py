"""State of a bot, as bots import it: ``from the0 import state``. See :mod:`the0.sdk.state`."""

from the0.sdk.state import (
    CorruptStateError,
    ReadOnlyStateError,
    clear,
    delete,
    exists,
    get,
    list,
    set,
)

__all__ = [
    "CorruptStateError",
    "ReadOnlyStateError",
    "clear",
    "delete",
    "exists",
    "get",
    "list",
    "set",
]
