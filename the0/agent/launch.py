"""The launch document, parsed once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

KINDS = ("realtime", "scheduled", "query", "flush")


class InvalidLaunch(Exception):
    """The launch document cannot be understood; the text names the field."""


class Sync(NamedTuple):
    """How often state is hashed and stored, in seconds, and its limits in bytes. `store_sec` is how
    long one call of the gateway to its store may take."""

    interval_sec: float = 60.0
    min_interval_sec: float = 5.0
    final_sec: float = 20.0
    max_state_bytes: int = 8 << 30
    max_file_bytes: int = 10 << 20
    store_sec: float = 60.0


class Logs(NamedTuple):
    """Bounds of the log on the volume (`max_bytes` in each of `files`), of a line, of a batch."""

    max_bytes: int = 10 << 20
    files: int = 2
    max_line_bytes: int = 64 << 10
    flush_sec: float = 0.2
    batch_bytes: int = 256 << 10


class Archive(NamedTuple):
    """Bounds within which a code archive is opened."""

    max_entries: int = 20_000
    max_bytes: int = 1 << 30
    max_ratio: float = 200.0
    max_sec: float = 60.0


class Query(NamedTuple):
    """One query of a launch of kind `query`; in `deadline_sec` nobody waits for it any more."""

    path: str
    params: Mapping[str, Any]
    deadline_sec: float = 300.0


class Launch(NamedTuple):
    """What a container is to do. `config` is JSON text and is never read here; `env` is what the
    runtime adds to both processes; `keep` is a person's answer to a conflict of states."""

    bot_id: str
    kind: str
    config: str = "{}"
    entrypoints: Mapping[str, str] = {}
    commands: Mapping[str, tuple[str, ...]] = {}
    executables: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    timezone: str = "UTC"
    run_id: str | None = None
    query: Query | None = None
    query_port: int = 9476
    stop_grace_sec: float = 30.0
    keep: str | None = None
    sync: Sync = Sync()
    logs: Logs = Logs()
    archive: Archive = Archive()
    disk_bytes: int = 1 << 30

    @property
    def writes_state(self) -> bool:
        return self.kind != "query"

    @property
    def main(self) -> str:
        """The entrypoint that this launch is about: `query` for a query, else `bot`."""
        return "query" if self.kind == "query" else "bot"


def parse(document: Any) -> Launch:
    """The launch that a document describes. What is not known is ignored, what is absent has its
    default. Raises :class:`InvalidLaunch`."""
    try:
        launch = _parse(document)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InvalidLaunch(f"the launch document is malformed: {error!r}") from error
    if launch.kind not in KINDS:
        raise InvalidLaunch(f"the launch document asks for the unknown kind {launch.kind!r}")
    if launch.kind != "flush" and not launch.commands.get(launch.main):
        raise InvalidLaunch(f"the launch document has no command for {launch.main!r}")
    return launch


def _parse(document: Any) -> Launch:
    given = dict(document)
    query = given.pop("query", None)
    return Launch(
        bot_id=str(given.pop("bot_id")),
        kind=str(given.pop("kind")),
        entrypoints=_texts(given.pop("entrypoints", {})),
        commands={
            name: tuple(str(word) for word in words)
            for name, words in given.pop("commands", {}).items()
        },
        executables=tuple(str(name) for name in given.pop("executables", ())),
        env=_texts(given.pop("env", {})),
        query=_query(query) if query else None,
        keep=dict(given.pop("state", {})).get("keep"),
        sync=Sync(*_numbers(Sync(), given.pop("sync", {}))),
        logs=Logs(*_numbers(Logs(), given.pop("logs", {}))),
        archive=Archive(*_numbers(Archive(), given.pop("archive", {}))),
        **_plain(given),
    )


def _query(given: Mapping[str, Any]) -> Query:
    deadline_sec = float(given.get("deadline_sec") or Query._field_defaults["deadline_sec"])
    return Query(str(given["path"]), dict(given.get("params") or {}), deadline_sec)


def _texts(given: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in dict(given).items() if value is not None}


def _numbers(defaults: Any, given: Any) -> list[Any]:
    """The fields of `defaults` (a tuple of numbers), each as `given` or as it is."""
    named = zip(defaults._fields, defaults, strict=True)
    return [type(default)(given.get(name, default)) for name, default in named]


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    types = {
        "config": str,
        "timezone": str,
        "run_id": str,
        "query_port": int,
        "stop_grace_sec": float,
        "disk_bytes": int,
    }
    return {name: kind(given[name]) for name, kind in types.items() if given.get(name) is not None}
