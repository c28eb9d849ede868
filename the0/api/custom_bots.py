"""Custom bots: code that was deployed, by name and version; a version never changes."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from the0.api import schemas
from the0.api.parts import USER, Parts, now_text
from the0.api.routes import Answer, Call, Route
from the0.errors import Conflict, InvalidArchive, NotFound, PluginError
from the0.http import TooLarge, discard_body, read_body
from the0.project import ArchivedProject, read_archive
from the0.values import to_bson, to_json

ZIP = "application/zip"
UPLOAD_SEC = 900.0
DISCARDED_BYTES = 1 << 30
DISCARD_SEC = 30.0
MIB = 1 << 20


@dataclass(frozen=True)
class Upload:
    """A received archive."""

    path: Path
    sha256: str
    size: int


class CustomBots:
    """Handlers of `/api/v1/custom-bots`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def routes(self) -> list[Route]:
        return [
            Route(
                "POST",
                "/api/v1/custom-bots",
                "deploy_custom_bot",
                "Upload a code archive; its own bot-config.yaml says what it is. 409 where that "
                "version has other content.",
                self.deploy,
                schemas.DEPLOYED,
                status=201,
                also={200: "The same content is there already."},
                upload=ZIP,
            ),
            Route(
                "GET",
                "/api/v1/custom-bots",
                "list_custom_bots",
                "All custom bots, every version.",
                self.list,
                schemas.CUSTOM_BOT_LIST,
            ),
            Route(
                "GET",
                "/api/v1/custom-bots/<name>",
                "show_custom_bot",
                "One custom bot with its schema and its versions.",
                self.show,
                schemas.CUSTOM_BOT_DETAIL,
                query=schemas.VERSION_QUERY,
            ),
        ]

    async def deploy(self, call: Call) -> Answer:
        limits = self._parts.settings.archive
        folder = self._parts.settings.state_dir.root
        scratch = tempfile.TemporaryDirectory(prefix="upload-", dir=folder)
        try:
            upload = await _receive(call, Path(scratch.name) / "code.zip", limits.max_mb * MIB)
        except TooLarge:
            scratch.cleanup()
            await discard_body(call.request, DISCARDED_BYTES, DISCARD_SEC)
            raise
        except BaseException:
            scratch.cleanup()
            raise
        # A client that leaves from here on must not leave an archive without its record.
        return await asyncio.shield(self._take(upload, scratch))

    async def _take(self, upload: Upload, scratch: tempfile.TemporaryDirectory[str]) -> Answer:
        limits = self._parts.settings.archive
        with scratch:
            project = await self._parts.work.call(read_archive, upload.path, limits)
            self._check_runtime(project.config.runtime)
            return await self._store(upload, project)

    def _check_runtime(self, name: str) -> None:
        try:
            self._parts.plugins.runtimes.get(name)
        except PluginError as error:
            raise InvalidArchive(f"bot-config.yaml: runtime: {error.message}") from error

    async def list(self, _: Call) -> Answer:
        records = await self._parts.repository.list_custom_bots()
        return Answer({"custom_bots": [_summary(record) for record in records]})

    async def show(self, call: Call) -> Answer:
        name, version = call.path["name"], call.query.get("version")
        record = to_json(await self._parts.repository.get_custom_bot(name, version))
        if record is None:
            wanted = f"{name} {version}" if version else name
            raise NotFound(f"There is no custom bot {wanted!r}; see `the0 custom-bot list`.")
        every = await self._parts.repository.list_custom_bots()
        versions = [one["version"] for one in every if one["name"] == name]
        return Answer({**_summary(record), "config": record["config"], "versions": versions})

    async def _store(self, upload: Upload, project: ArchivedProject) -> Answer:
        config = project.config
        key = f"{USER}/{config.name}/{config.version}"
        # An archive that is stored without its record takes the version.
        record = to_bson(_record(upload, project, key))
        async with self._parts.writing:
            known = await self._parts.repository.get_custom_bot(config.name, config.version)
            if known is None:
                await self._put(key, upload)
                await self._parts.repository.put_custom_bot(record)
            elif known["sha256"] != upload.sha256:
                raise _other_content(config.name, config.version)
        return Answer(
            {
                "name": config.name,
                "version": config.version,
                "sha256": upload.sha256,
                "size": upload.size,
                "unchanged": known is not None,
            },
            200 if known else 201,
        )

    async def _put(self, key: str, upload: Upload) -> None:
        bucket = self._parts.settings.storage.code_bucket
        storage = self._parts.storage

        def put() -> None:
            storage.ensure_bucket(bucket)
            try:
                there = storage.head(bucket, key)
            except NotFound:
                with upload.path.open("rb") as body:
                    metadata = {"the0-sha256": upload.sha256}
                    storage.put(bucket, key, body, upload.size, content_type=ZIP, metadata=metadata)
                return
            # Left by an upload that broke off before its record, or by somebody else.
            if there.metadata.get("the0-sha256") != upload.sha256:
                raise _other_content(*key.split("/")[1:])

        await self._parts.calls.call_within(UPLOAD_SEC, put)


async def _receive(call: Call, path: Path, max_bytes: int) -> Upload:
    digest = hashlib.sha256()
    size = 0
    with path.open("wb") as file:
        async for chunk in read_body(call.request, max_bytes, UPLOAD_SEC):
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
    return Upload(path, digest.hexdigest(), size)


def _other_content(name: str, version: str) -> Conflict:
    return Conflict(
        f"{name} {version} is deployed already, with other content. A version never changes: "
        "raise `version` in bot-config.yaml and deploy again."
    )


def _record(upload: Upload, project: ArchivedProject, key: str) -> dict[str, Any]:
    return {
        "name": project.config.name,
        "version": project.config.version,
        "user": USER,
        "filePath": key,
        "sha256": upload.sha256,
        "size": upload.size,
        "createdAt": now_text(),
        "config": dict(project.config.document),
    }


def _summary(record: Mapping[str, Any]) -> dict[str, Any]:
    config = record["config"]
    return {
        **{name: record[name] for name in ("name", "version", "sha256", "size", "createdAt")},
        **{name: config.get(name, "") for name in ("type", "runtime", "description")},
    }
