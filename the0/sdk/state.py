"""What a bot keeps between runs: one JSON file per key in ``STATE_DIR``.

The platform stores the folder while the bot runs and when it ends, and brings it back at the next
start. A write is complete or did not happen. Queries may read and not write.
"""

from __future__ import annotations

import builtins
import json
import os
from typing import Any

from the0.sdk.files import remove_if_there, write_whole

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

_SUFFIX = ".json"
_served = False


class ReadOnlyStateError(Exception):
    """A query tried to change the bot's state."""


class CorruptStateError(ValueError):
    """A state file holds something that is not JSON; the message names the file."""


def get(key: str, default: Any = None) -> Any:
    """The value stored under `key`, or `default` when there is none.

    Raises ValueError for an impossible key and CorruptStateError for a file that is not JSON:
    going on with a default would write over what may still be rescued.
    """
    path = _path(key)
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return default
    except ValueError as error:
        raise CorruptStateError(
            f"the state of key {key!r} is not JSON ({error}); repair or remove {path}"
        ) from error


def set(key: str, value: Any) -> None:
    """Store `value` (anything that JSON can hold) under `key`.

    Raises TypeError or ValueError for what JSON cannot hold, before anything is written, and
    ReadOnlyStateError in a query.
    """
    _require_writable()
    path = _path(key)
    text = json.dumps(value)
    os.makedirs(_folder(), exist_ok=True)
    write_whole(path, text)


def delete(key: str) -> bool:
    """Remove `key`; says whether it existed. Raises ReadOnlyStateError in a query."""
    _require_writable()
    return remove_if_there(_path(key))


def list() -> builtins.list[str]:
    """All keys, sorted."""
    try:
        names = os.listdir(_folder())
    except FileNotFoundError:
        return []
    return sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))


def clear() -> None:
    """Remove all keys. Raises ReadOnlyStateError in a query."""
    _require_writable()
    for key in list():
        remove_if_there(f"{_folder()}/{key}{_SUFFIX}")


def exists(key: str) -> bool:
    """Whether something is stored under `key`."""
    return os.path.exists(_path(key))


def serve_read_only() -> None:
    """Refuse changes in this process from now on: it answers queries."""
    global _served  # noqa: PLW0603 - the mode belongs to the process
    _served = True


def _folder() -> str:
    return os.environ.get("STATE_DIR") or "/state/.the0-state"


def _path(key: str) -> str:
    if not key:
        raise ValueError("a state key must not be empty")
    if "/" in key or "\\" in key or ".." in key or "\0" in key:
        raise ValueError(f"the state key {key!r} must not contain '/', '\\', '..' or a NUL")
    return f"{_folder()}/{key}{_SUFFIX}"


def _require_writable() -> None:
    if _served or "QUERY_PATH" in os.environ:
        raise ReadOnlyStateError("a query may only read state; change it in the bot itself")
