"""Launches: what the host allows one container to ask of the gateway, as files on disk.

`<launches>/<id>.json` is written by the host before the container is created and removed after
its exit was recorded; `<id>.status.json` is what the agent inside reported last, written by the
gateway. Both shapes are those of docs/gateway.md. The files are the only thing that runner and
gateway share: neither asks the other.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from the0.errors import InvalidInput
from the0.files import write_atomic
from the0.launch_status import LaunchExit, LaunchStatus, ReportedCondition, parse_status
from the0.models import JSON

__all__ = [
    "Launch",
    "LaunchExit",
    "LaunchKind",
    "LaunchStatus",
    "LaunchStore",
    "ReportedCondition",
    "launch_file",
    "parse_status",
    "status_file",
]

LaunchKind = Literal["realtime", "scheduled", "query", "flush"]

log = logging.getLogger("the0.launches")

_ID = re.compile(r"[0-9a-f]{32}")
_STATUS = ".status.json"
_CACHED = 4096
_TURNS = 64


def launch_file(launch: str) -> str:
    """The name of a launch's file in the folder of launches."""
    return f"{launch}.json"


def status_file(launch: str) -> str:
    """The name of the file that its agent's last report is in."""
    return f"{launch}{_STATUS}"


@dataclass(frozen=True)
class Launch:
    """One start of one container. `document` is handed to the agent as it is; `writes_state`
    tells whether this launch may store state, `superseded_by` the launch that took its place.
    A launch without a bot is of a container that waits for its one query."""

    launch: str
    token_sha256: str
    installation: str
    bot_id: str
    kind: LaunchKind
    created: datetime
    writes_state: bool
    code_key: str
    document: Mapping[str, JSON]
    superseded_by: str | None = None

    @classmethod
    def new(
        cls,
        *,
        installation: str,
        bot_id: str,
        kind: LaunchKind,
        code_key: str,
        document: Mapping[str, JSON],
        writes_state: bool = True,
    ) -> tuple[Launch, str]:
        """A launch with a fresh id, and its token, which is kept nowhere else.

        `document` need not name `protocol`, `launch`, `bot_id` and `kind`: they are filled in.
        """
        launch, token = secrets.token_hex(16), secrets.token_hex(32)
        own = {"protocol": 1, "launch": launch, "bot_id": bot_id, "kind": kind}
        return cls(
            launch=launch,
            token_sha256=_sha256(token),
            installation=installation,
            bot_id=bot_id,
            kind=kind,
            created=datetime.now(UTC),
            writes_state=writes_state,
            code_key=code_key,
            document={**document, **own},
        ), token

    @classmethod
    def waiting(cls, installation: str) -> tuple[Launch, str]:
        """A launch for one query that nobody has asked yet, and its token."""
        return cls.new(
            installation=installation,
            bot_id="",
            kind="query",
            code_key="",
            document={},
            writes_state=False,
        )

    @property
    def is_waiting(self) -> bool:
        return not self.bot_id

    def assigned(self, bot_id: str, code_key: str, document: Mapping[str, JSON]) -> Launch:
        """The waiting launch with its job. Raises ValueError when it has one already."""
        if not self.is_waiting:
            raise ValueError(f"launch {self.launch} has had its job")
        own = {**self.document, "bot_id": bot_id}
        return dataclasses.replace(
            self, bot_id=bot_id, code_key=code_key, document={**document, **own}
        )

    def accepts(self, token: str) -> bool:
        """Whether `token` is this launch's; takes the same time for any wrong one."""
        return hmac.compare_digest(self.token_sha256, _sha256(token))

    def to_json(self) -> dict[str, JSON]:
        return {
            "launch": self.launch,
            "token_sha256": self.token_sha256,
            "installation": self.installation,
            "bot_id": self.bot_id,
            "kind": self.kind,
            "created": self.created.isoformat(),
            "writes_state": self.writes_state,
            "superseded_by": self.superseded_by,
            "code_key": self.code_key,
            "document": dict(self.document),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> Launch:
        return cls(
            launch=data["launch"],
            token_sha256=data["token_sha256"],
            installation=data["installation"],
            bot_id=data["bot_id"],
            kind=data["kind"],
            created=datetime.fromisoformat(data["created"]),
            writes_state=data["writes_state"],
            code_key=data["code_key"],
            document=data["document"],
            superseded_by=data.get("superseded_by"),
        )


class LaunchStore:
    """The launch files in one folder. Safe to use from several threads and processes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._cache: dict[str, tuple[tuple[int, int], Launch]] = {}
        self._turns = [threading.Lock() for _ in range(_TURNS)]

    def write(self, launch: Launch) -> None:
        """Store it, replacing an older one of the same id: durably, but for queries, which do not
        outlive a power cut."""
        data = json.dumps(launch.to_json()).encode()
        write_atomic(self._path(launch.launch), data, durable=launch.kind != "query")

    def read(self, launch: str) -> Launch | None:
        """None for an unknown launch, and for text that cannot be a launch's id at all."""
        if not _ID.fullmatch(launch):
            return None
        path = self._path(launch)
        try:
            stat = path.stat()
            version = (stat.st_ino, stat.st_mtime_ns)
            cached = self._cache.get(launch)
            if cached and cached[0] == version:
                return cached[1]
            found = Launch.from_json(json.loads(path.read_bytes()))
        except FileNotFoundError:
            self._cache.pop(launch, None)
            return None
        except (ValueError, KeyError, TypeError):
            log.warning("%s is not a launch file; it gives nobody any right", path)
            return None
        if len(self._cache) >= _CACHED:
            self._cache.clear()
        self._cache[launch] = (version, found)
        return found

    def remove(self, launch: str) -> None:
        """Take its rights away, forget its status and result. No error when it is gone."""
        self._path(launch).unlink(missing_ok=True)
        self._status_path(launch).unlink(missing_ok=True)
        self._result_path(launch).unlink(missing_ok=True)

    def all(self) -> list[Launch]:
        """Every launch, oldest first."""
        found = (self.read(path.stem) for path in self.directory.glob("*.json"))
        return sorted((one for one in found if one), key=lambda one: (one.created, one.launch))

    def supersede(self, bot_id: str, by: str) -> None:
        """Every other launch of the bot loses its right to store state to launch `by`."""
        for one in self.all():
            if one.bot_id == bot_id and one.launch != by and one.superseded_by is None:
                self.write(dataclasses.replace(one, superseded_by=by))

    def status(self, launch: str) -> LaunchStatus | None:
        """What its agent reported last; None when it has not reported yet."""
        path = self._status_path(launch)
        try:
            return parse_status(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, InvalidInput):
            log.warning("%s is not a launch's status", path)
            return None

    def write_status(self, launch: str, status: LaunchStatus) -> None:
        """Store it as its launch; a launch that was removed meanwhile gets none. Whatever comes
        late, after the launch has told its end, is passed over.

        Of one launch one is written at a time, within this process: that of the gateway.
        """
        with self._turns[int(launch, 16) % _TURNS]:
            if status.phase != "ended" and self._has_ended(launch):
                return
            data = json.dumps(status.to_json()).encode()
            self._write_beside(launch, self._status_path(launch), data)

    def result(self, launch: str) -> bytes | None:
        """The JSON that its bot wrote as its result, unparsed; None when it wrote none."""
        try:
            return self._result_path(launch).read_bytes()
        except FileNotFoundError:
            return None

    def write_result(self, launch: str, result: bytes) -> None:
        """Store it as its launch; a launch that was removed meanwhile gets none."""
        self._write_beside(launch, self._result_path(launch), result)

    def statuses_changed_since(
        self, mtimes: Mapping[str, int]
    ) -> dict[str, tuple[int, LaunchStatus]]:
        """Launch id -> (mtime in ns, status) where the mtime differs from the one in `mtimes`.

        One folder scan, so it may be called every second; the caller keeps the mtimes.
        """
        changed: dict[str, tuple[int, LaunchStatus]] = {}
        with os.scandir(self.directory) as entries:
            found = [(one.name.removesuffix(_STATUS), one) for one in entries]
        for launch, entry in found:
            if not _ID.fullmatch(launch):
                continue
            try:
                mtime = entry.stat().st_mtime_ns
            except FileNotFoundError:
                continue
            if mtimes.get(launch) != mtime and (status := self.status(launch)):
                changed[launch] = (mtime, status)
        return changed

    def _has_ended(self, launch: str) -> bool:
        found = self.status(launch)
        return found is not None and found.phase == "ended"

    def _write_beside(self, launch: str, path: Path, data: bytes) -> None:
        found = self.read(launch)
        write_atomic(path, data, durable=found is None or found.kind != "query")
        if not self._path(launch).exists():
            path.unlink(missing_ok=True)

    def _path(self, launch: str) -> Path:
        return self.directory / launch_file(launch)

    def _result_path(self, launch: str) -> Path:
        return self.directory / f"{launch}.result.json"

    def _status_path(self, launch: str) -> Path:
        return self.directory / status_file(launch)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
