"""A BotService over an engine in memory and documents in memory, for faults that neither a real
engine nor a real database can be brought to show at the right moment."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson

from tests.support.engines import MemoryExecutor
from the0.builtin.storage_local import LocalSettings, LocalStorage
from the0.config import load_settings
from the0.core.bot_service import BotService
from the0.core.site import Site
from the0.errors import Unavailable
from the0.launches import LaunchExit, LaunchStatus, LaunchStore
from the0.models import BotType, Container, ContainerState
from the0.plugin.interfaces import (
    ImageSpec,
    PluginArgs,
    ProcessPlan,
    Progress,
    Runtime,
)
from the0.plugin.registry import Registry
from the0.repository import RawDocument
from the0.settings import CORE_SECTIONS


class Documents:
    """The part of the repository that the runner uses. `fails` names calls without an answer."""

    def __init__(self) -> None:
        self.bots: dict[str, dict[str, Any]] = {}
        self.status: dict[str, Mapping[str, Any]] = {}
        self.choices: dict[str, str] = {}
        self.reads = 0
        self.fails: set[str] = set()

    def put(self, bot_id: str, **config: Any) -> None:
        custom = {
            "version": "1.0.0",
            "filePath": "u/b/1.0.0",
            "config": {"name": "b", "runtime": "none", "entrypoints": {"bot": "main.py"}},
        }
        self.bots[bot_id] = {"id": bot_id, "config": config, "custom": custom}

    async def ping(self) -> None:
        self._may_fail("ping")

    async def desired(self, type: BotType) -> Sequence[RawDocument]:
        self.reads += 1
        return [RawDocument(bson.encode(one)) for one in self.bots.values()]

    async def get_bot(self, type: BotType, bot_id: str) -> Mapping[str, Any] | None:
        return self.bots.get(bot_id) if type is BotType.REALTIME else None

    async def statuses(self, installation: str) -> Mapping[str, Mapping[str, Any]]:
        return dict(self.status)

    async def save_status(self, installation: str, bot_id: str, status: Mapping[str, Any]) -> None:
        self._may_fail("save_status")
        self.status[bot_id] = status

    async def delete_status(self, installation: str, bot_id: str) -> None:
        self.status.pop(bot_id, None)

    async def state_choice(self, installation: str, bot_id: str) -> str | None:
        return self.choices.get(bot_id)

    async def clear_state_choice(self, installation: str, bot_id: str) -> None:
        self._may_fail("clear_state_choice")
        self.choices.pop(bot_id, None)

    def _may_fail(self, call: str) -> None:
        if call in self.fails:
            raise Unavailable(f"{call} gets no answer")


class NoLanguage(Runtime):
    """A runtime whose processes nobody starts."""

    name = "none"

    def image(self) -> ImageSpec:
        return ImageSpec(packages=())

    def processes(self, entrypoints: Mapping[str, str]) -> ProcessPlan:
        return ProcessPlan(bot=("true",), query=None)

    def check_project(self, project: Path, entrypoints: Mapping[str, str]) -> Sequence[str]:
        return ()

    def vendor(self, project: Path, progress: Progress) -> None:
        return


class Engine(MemoryExecutor):
    """Bots run until they are stopped. `fault` is called with the name of each call and may
    raise; `calls` has the names in their order."""

    def __init__(self, args: PluginArgs) -> None:
        super().__init__(args)
        self.calls: list[str] = []
        self.launches = LaunchStore(args.state_dir / "launches")
        self.fault: Callable[[str], None] = lambda call: None

    def list(self) -> Sequence[Container]:
        self._call("list")
        return super().list()

    def create(self, spec: Any) -> Container:
        self._call("create")
        return super().create(spec)

    def start(self, ref: str) -> None:
        self._call("start")
        self._change(ref, state=ContainerState.RUNNING, started_at=datetime.now(UTC))
        self.launches.write_status(self.inspect(ref).launch, LaunchStatus("running"))

    def stop(self, ref: str, timeout_sec: float) -> None:
        self._call("stop")
        ended = LaunchExit(0, None, "stopped", None, state_saved=True)
        self.launches.write_status(self.inspect(ref).launch, LaunchStatus("ended", exit=ended))
        super().stop(ref, timeout_sec)

    def remove_bot_volumes(self, bot_id: str) -> None:
        self._call("remove_bot_volumes")

    def running(self) -> set[str]:
        """The bots whose container runs."""
        return {one.bot_id for one in super().list() if one.state == "running"}

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self.fault(name)


class Service:
    """The service at work, with what it works on."""

    def __init__(self, root: Path, **environ: str) -> None:
        environ = {"THE0_STATE_DIR": str(root), **environ}
        self.settings = load_settings([*CORE_SECTIONS, LocalSettings], [], environ)
        self.settings.state_dir.make()
        args = PluginArgs("t", "i" * 32, root, self.settings.sections)
        self.documents: Any = Documents()
        self.engine = Engine(args)
        self.storage = LocalStorage(args)
        for bucket in ("bot-state", "bot-logs"):
            self.storage.ensure_bucket(bucket)
        self.site = Site(
            self.settings,
            args,
            self.documents,
            self.engine,
            self.storage,
            Registry("runtime", [NoLanguage]),
            self.engine.launches,
        )

    def store(self, key: str) -> None:
        """Put an object into the bucket of states."""
        self.storage.put("bot-state", key, io.BytesIO(b"x"), 1)

    def stored(self, key: str) -> bool:
        return key in [one.key for one in self.storage.list("bot-state", "")]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[BotService]:
        """A host's service, from its start to its end."""
        service, stop = BotService(self.site), asyncio.Event()
        work = asyncio.create_task(service.run(stop))
        try:
            yield service
        finally:
            stop.set()
            await work


async def until(what: Callable[[], object], text: str, within: float = 15.0) -> None:
    """Wait until it is so; fails with `text` where it does not come to be."""
    try:
        async with asyncio.timeout(within):
            while not what():  # noqa: ASYNC110 - many different things are waited for
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"never so: {text}") from None
