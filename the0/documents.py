"""Bot documents of MongoDB and NATS, parsed into :class:`~the0.models.Bot`. Pure.

Whatever a document holds, the only error is InvalidDocument: it names the bot and every field
that is wrong, so that one bad document costs only itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from the0.errors import InvalidDocument
from the0.models import JSON, Bot, BotType, Resources, RestartPolicy
from the0.schema_fields import described
from the0.settings import LimitSettings, seconds
from the0.values import config_json, read_time, to_bson, to_json

__all__ = ["config_json", "document_id", "is_enabled", "parse_bot", "to_bson"]

DEFAULT_RUNTIME = "python3.11"
E = TypeVar("E", bound=StrEnum)
MAX_STOP_GRACE_SEC = 600.0
ALWAYS_THE_PLATFORMS = frozenset({"enabled", "name", "schedule", "type", "version"})
MAX_PATH_BYTES = 1024
MAX_VARIABLE_BYTES = 128 << 10
"""What Linux allows for one `NAME=value` of a process's environment, its final NUL included."""


def document_id(document: Any) -> str | None:
    """The bot's id: `id`, else `_id`; None when neither is a text with something in it."""
    if isinstance(document, Mapping):
        for field in ("id", "_id"):
            value = document.get(field)
            if isinstance(value, str) and value:
                return str(value)
    return None


def is_enabled(document: Mapping[str, Any]) -> bool:
    """Whether the bot shall run: not switched off in the document nor in its config."""
    config = document.get("config")
    switches = [document.get("enabled")]
    if isinstance(config, Mapping):
        switches.append(config.get("enabled"))
    return not any(map(_is_off, switches))


def parse_bot(document: Any, type: BotType, limits: LimitSettings) -> Bot:
    """The bot that a document describes, its resources checked against the site's `limits`.

    Raises InvalidDocument with one fault a field, each named by its path.
    """
    bot_id = document_id(document)
    if bot_id is None:
        raise InvalidDocument(f"A {type} bot's document has no id: `id` must be a text.")
    reader = FieldReader()
    bot = _read(reader, bot_id, type, _plain(document, bot_id), limits)
    if reader.faults:
        raise InvalidDocument(refusal(bot_id), reader.faults)
    return bot


def platform_config(document: Mapping[str, Any], config: Mapping[str, JSON]) -> dict[str, JSON]:
    """What of `config` is meant for the platform, if it knows it: not what the bot's own schema
    describes, which is the bot's even where it has the name of a field of the platform."""
    schema: Any = document
    for key in ("custom", "config", "schema", "bot"):
        schema = schema.get(key) if isinstance(schema, Mapping) else None
    own = described(schema) - ALWAYS_THE_PLATFORMS
    return {name: value for name, value in config.items() if name not in own}


def refusal(bot_id: str) -> str:
    """What the list of a document's faults begins with."""
    return f"The document of bot {bot_id!r} cannot be understood:"


def _plain(document: Mapping[str, Any], bot_id: str) -> dict[str, JSON]:
    wanted = {key: document.get(key) for key in ("config", "custom", "enabled")}
    try:
        custom = wanted["custom"]
        updated = read_time(custom.get("updatedAt")) if isinstance(custom, Mapping) else None
        plain = {key: to_json(value, key) for key, value in wanted.items()}
    except InvalidDocument as error:
        raise InvalidDocument(refusal(bot_id), [error.message]) from None
    return {**plain, "updated_at": updated}


class FieldReader:
    """Takes fields out of JSON objects, gathering the faults on the way."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def object(self, parent: Mapping[str, JSON] | None, path: str) -> Mapping[str, JSON] | None:
        """None when it is not there; a missing parent is no second fault."""
        value = (parent or {}).get(_last(path))
        if isinstance(value, Mapping):
            return value
        if parent is not None:
            self.faults.append(_wrong(path, value, "an object"))
        return None

    def text(self, parent: Mapping[str, JSON] | None, path: str, default: str | None = None) -> str:
        if parent is None:
            return ""
        value = parent.get(_last(path))
        if value is None and default is not None:
            return default
        if isinstance(value, str) and value:
            return value
        self.faults.append(_wrong(path, value, "a text"))
        return ""

    def path(self, parent: Mapping[str, JSON] | None, path: str) -> str:
        value = self.text(parent, path)
        if value and not _is_plain_path(value):
            self.faults.append(_wrong(path, value, "a plain relative path"))
        return value

    def number(
        self, parent: Mapping[str, JSON], path: str, kind: type, low: float, high: float
    ) -> Any:
        """A number of `kind` (int, or float for any) within bounds, None when absent."""
        value = parent.get(_last(path))
        if value is None:
            return None
        allowed = int if kind is int else int | float
        word = "a whole number" if kind is int else "a number"
        if isinstance(value, bool) or not isinstance(value, allowed) or not low <= value <= high:
            self.faults.append(_wrong(path, value, f"{word} from {low:g} to {high:g}"))
            return None
        return value

    def duration(
        self, parent: Mapping[str, JSON], path: str, low: float, high: float
    ) -> float | None:
        """Seconds, given as a number or as text like `1m30s`; None when absent."""
        value = parent.get(_last(path))
        if value is None:
            return None
        try:
            found = seconds(value)
        except ValueError:
            found = -1.0
        if not low <= found <= high:
            allowed = f"a duration from {low:g} to {high:g} seconds"
            self.faults.append(_wrong(path, value, allowed))
            return None
        return found

    def choice(self, parent: Mapping[str, JSON], path: str, kind: type[E], default: E) -> E:
        """One of the words of `kind`."""
        value = parent.get(_last(path))
        if value is None:
            return default
        try:
            return kind(value)
        except ValueError:
            self.faults.append(_wrong(path, value, "one of " + ", ".join(kind)))
            return default


def _read(
    reader: FieldReader,
    bot_id: str,
    type: BotType,
    document: dict[str, JSON],
    limits: LimitSettings,
) -> Bot:
    config = reader.object(document, "config") or {}
    _check_environment(reader, "id", f"BOT_ID={bot_id}")
    _check_environment(reader, "config", f"BOT_CONFIG={config_json(config)}")
    custom = reader.object(document, "custom")
    about = reader.object(custom, "custom.config")
    ours = platform_config(document, config)
    return Bot(
        id=bot_id,
        type=type,
        enabled=is_enabled(document),
        config=config,
        name=_name(config, about or {}, bot_id),
        version=reader.text(custom, "custom.version", (about or {}).get("version")),
        runtime=reader.text(about, "custom.config.runtime", DEFAULT_RUNTIME),
        code_key=reader.path(custom, "custom.filePath"),
        entrypoints=_entrypoints(reader, about),
        resources=_resources(reader, ours, limits),
        restart=reader.choice(ours, "config.restart", RestartPolicy, RestartPolicy.ALWAYS),
        stop_grace_sec=reader.duration(ours, "config.stop_grace_sec", 0, MAX_STOP_GRACE_SEC),
        updated_at=document["updated_at"],
    )


def _check_environment(reader: FieldReader, path: str, variable: str) -> None:
    """What a process gets through its environment is bounded by the kernel."""
    size = len(variable.encode()) + 1
    if size > MAX_VARIABLE_BYTES:
        reader.faults.append(
            f"{path} needs {size:,} bytes in the bot's environment, which can hold "
            f"{MAX_VARIABLE_BYTES:,}; large data belong into the code or are to be fetched"
        )
    if "\0" in variable:
        reader.faults.append(f"{path} holds a NUL character, which no environment can hold")


def _name(config: Mapping[str, JSON], about: Mapping[str, JSON], bot_id: str) -> str:
    names = (config.get("name"), about.get("name"))
    return next((name for name in names if isinstance(name, str) and name), bot_id)


def _entrypoints(reader: FieldReader, about: Mapping[str, JSON] | None) -> dict[str, str]:
    path = "custom.config.entrypoints"
    given = reader.object(about, path)
    found = {"bot": reader.path(given, f"{path}.bot")}
    if given and given.get("query"):
        found["query"] = reader.path(given, f"{path}.query")
    return found


def _resources(reader: FieldReader, config: Mapping[str, JSON], limits: LimitSettings) -> Resources:
    if config.get("resources") is None:
        return Resources()
    path = "config.resources"
    given = reader.object(config, path) or {}
    return Resources(
        memory_mb=reader.number(given, f"{path}.memory_mb", int, 32, limits.max_memory_mb),
        cpus=reader.number(given, f"{path}.cpus", float, 0.05, limits.max_cpus),
        pids=reader.number(given, f"{path}.pids", int, 16, limits.max_pids),
        disk_mb=reader.number(given, f"{path}.disk_mb", int, 16, limits.max_disk_mb),
    )


def _is_off(switch: Any) -> bool:
    if isinstance(switch, str):
        return switch.strip().lower() in ("false", "0")
    return isinstance(switch, int | float) and switch == 0


def _is_plain_path(path: str) -> bool:
    """Relative, inside its folder, and nothing that a tool could read as something else."""
    printable = path.isprintable() and "\\" not in path
    inside = not path.startswith("/") and not {"..", ""} & set(path.split("/"))
    return printable and inside and len(path.encode()) <= MAX_PATH_BYTES


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _wrong(path: str, value: JSON, allowed: str) -> str:
    if value is None:
        return f"{path} is missing; it must be {allowed}"
    seen = repr(value) if isinstance(value, str | int | float) else f"of the type {_kind(value)}"
    return f"{path} is {seen[:80]}; it must be {allowed}"


def _kind(value: JSON) -> str:
    return "object" if isinstance(value, Mapping) else "list"
