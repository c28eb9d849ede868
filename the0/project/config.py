"""bot-config.yaml and the files it names, read and checked: from a folder or from an archive."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from the0.errors import InvalidDocument, InvalidInput
from the0.models import JSON, BotType
from the0.project.schema_process import schema_faults
from the0.project.version import parse_version
from the0.project.yaml_text import read_yaml
from the0.values import to_json

CONFIG_FILE = "bot-config.yaml"
DEFAULT_RUNTIME = "python3.11"
MAX_FILE_BYTES = 1024 * 1024
MAX_TEXT_BYTES = 2 * MAX_FILE_BYTES
"""The readme and the schemas together: as BSON they take up to seven times as much, and a document
of MongoDB holds 16 MiB."""
MAX_SCHEMAS = 10
ENTRYPOINTS = ("bot", "query", "backtest")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)

FileReader = Callable[[str], bytes | None]
"""The content of a file by its path below the project, None when there is no such file. Raises
InvalidInput when it cannot be read."""


@dataclass(frozen=True)
class BotConfig:
    """A custom bot as its author describes it.

    `document` is the whole configuration as JSON, with the contents of the schema files and of the
    readme in place of their names: what MongoDB keeps as ``custom.config``. `files` are the paths
    that must be in the archive.
    """

    name: str
    version: str
    type: BotType
    runtime: str
    entrypoints: Mapping[str, str]
    document: Mapping[str, JSON]
    files: tuple[str, ...]


def read_config(read: FileReader) -> BotConfig:
    """Raises InvalidInput with every fault, each naming file and key."""
    config, faults = examine_config(read, built=True)
    if faults:
        raise InvalidInput(f"{CONFIG_FILE} or a file it names is not right", faults)
    return config


def examine_config(read: FileReader, *, built: bool) -> tuple[BotConfig, list[str]]:
    """What could be read, and every fault, each naming file and key; with faults, the entrypoints
    are those without one.

    `built` false: entrypoints may be missing yet, because a build could make them. Raises
    InvalidInput where there is nothing to examine.
    """
    reading = _Reading(read, built)
    return reading.checked(reading.config()), reading.faults


class _Reading:
    """One pass over the configuration that collects faults instead of stopping at the first."""

    def __init__(self, read: FileReader, built: bool) -> None:
        self._read = read
        self._built = built
        self.faults: list[str] = []
        self._files: list[str] = [CONFIG_FILE]
        self._text_bytes = 0

    def config(self) -> dict[str, Any]:
        content = self._read(CONFIG_FILE)
        if content is None:
            raise InvalidInput(f"there is no {CONFIG_FILE}; a bot project has one at its top")
        try:
            config = read_yaml(content)
        except ValueError as error:
            raise InvalidInput(f"{CONFIG_FILE} is not usable YAML: {error}") from error
        if not isinstance(config, dict):
            raise InvalidInput(f"{CONFIG_FILE} must be a mapping of keys and values")
        return config

    def checked(self, raw: dict[str, Any]) -> BotConfig:
        for key in ("description", "author"):
            if not isinstance(raw.get(key, ""), str):
                self._fault(key, "must be text")
        entrypoints = self._entrypoints(raw.get("entrypoints"))
        runtime = raw.get("runtime", DEFAULT_RUNTIME)
        if not isinstance(runtime, str):
            self._fault("runtime", "must be the name of a runtime")
        document = {**raw, "runtime": runtime, "schema": self._schemas(raw.get("schema"))}
        if "readme" in raw:
            document["readme"] = self._text("readme", raw["readme"])
        self._check_document(document)
        return BotConfig(
            name=self._name(raw.get("name")),
            version=self._version(raw.get("version")),
            type=self._type(raw.get("type")),
            runtime=str(runtime),
            entrypoints=entrypoints,
            document=document,
            files=tuple(self._files),
        )

    def _check_document(self, document: JSON) -> None:
        """Bots carry it as their ``custom.config``, and MongoDB does not hold everything."""
        try:
            to_json({"custom": {"config": document}}, "")
        except InvalidDocument as error:
            self.faults.append(f"{CONFIG_FILE}: {error.message.removeprefix('.custom.config.')}")

    def _name(self, value: Any) -> str:
        if isinstance(value, int | float):
            self._fault("name", f"must be text; put {value} in quotes")
            return str(value)
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            self._fault("name", "must be 1 to 63 letters, digits, dots, dashes or underscores")
        return str(value)

    def _version(self, value: Any) -> str:
        try:
            parse_version(value)
        except ValueError as error:
            self._fault("version", str(error))
        return str(value)

    def _type(self, value: Any) -> BotType:
        if value not in list(BotType):
            self._fault("type", f"must be realtime or scheduled, not {value!r}")
            return BotType.REALTIME
        return BotType(value)

    def _entrypoints(self, value: Any) -> dict[str, str]:
        if not isinstance(value, dict) or not value.get("bot"):
            self._fault("entrypoints.bot", "must name the file that the bot starts with")
            return {}
        return {role: file for role, file in value.items() if self._is_entrypoint(role, file)}

    def _is_entrypoint(self, role: Any, file: Any) -> bool:
        faults = len(self.faults)
        if role not in ENTRYPOINTS:
            self._fault(f"entrypoints.{role}", f"is not one of {', '.join(ENTRYPOINTS)}")
        else:
            self._content(f"entrypoints.{role}", _file_part(file), needed=self._built)
        return len(self.faults) == faults

    def _schemas(self, value: Any) -> dict[str, JSON]:
        if not isinstance(value, dict) or not value.get("bot"):
            self._fault("schema.bot", "must name the JSON Schema of the bot's configuration")
            return {}
        if len(value) > MAX_SCHEMAS:
            self._fault("schema", f"names {len(value)} files; {MAX_SCHEMAS} are the most")
            return {}
        return {str(role): self._schema(str(role), file) for role, file in value.items()}

    def _schema(self, role: str, file: Any) -> JSON:
        content = self._text(f"schema.{role}", file)
        if content is None:
            return {}
        try:
            schema = json.loads(content)
        except (ValueError, RecursionError) as error:
            self.faults.append(f"{file}: not JSON: {error}")
            return {}
        self.faults += [f"{file}: {fault}" for fault in schema_faults(schema)]
        return schema

    def _text(self, key: str, file: Any) -> str | None:
        content = self._content(key, file)
        if content is not None and len(content) > MAX_FILE_BYTES:
            self._fault(key, f"{file} is over {MAX_FILE_BYTES} bytes")
            return None
        self._text_bytes += len(content or b"")
        if self._text_bytes > MAX_TEXT_BYTES:
            self._fault(
                key, f"{file} makes readme and schemas over {MAX_TEXT_BYTES} bytes together"
            )
            return None
        return None if content is None else content.decode("utf-8", "replace")

    def _content(self, key: str, file: Any, needed: bool = True) -> bytes | None:
        if not isinstance(file, str) or not _inside(file):
            self._fault(key, f"{file!r} is not a path inside the project")
            return None
        path = PurePosixPath(file).as_posix()  # an archive has no ./main.py
        self._files.append(path)
        try:
            content = self._read(path)
        except InvalidInput as error:
            self._fault(key, error.message)
            return None
        if content is None and needed:
            self._fault(key, f"there is no file {file}")
        return content

    def _fault(self, key: str, text: str) -> None:
        self.faults.append(f"{CONFIG_FILE}: {key}: {text}")


def _inside(file: str) -> bool:
    path = PurePosixPath(file)
    return (
        bool(path.parts)
        and file.isprintable()
        and not path.is_absolute()
        and ".." not in path.parts
    )


def _file_part(entrypoint: Any) -> Any:
    """The file of an entrypoint: `app.jar:Main` names a class of `app.jar`."""
    return entrypoint.partition(":")[0] if isinstance(entrypoint, str) else entrypoint
