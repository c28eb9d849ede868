"""An engine in memory: containers that start at once and end by themselves, and are counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from queue import Empty, Queue

from the0.errors import Conflict, NotFound
from the0.models import (
    Condition,
    Container,
    ContainerAction,
    ContainerEvent,
    ContainerSpec,
    ContainerState,
)
from the0.plugin.interfaces import EngineInfo, Executor, ImageSpec, PluginArgs, Progress


@dataclass
class Started:
    """One start: which run, when it was created (Unix seconds), how many starts were under way."""

    run: str
    bot_id: str
    created: float
    at_once: int


@dataclass
class Tally:
    """What happened, in order."""

    starts: list[Started] = field(default_factory=list)
    under_way: int = 0


class MemoryExecutor(Executor):
    """Each start takes `start_sec`; each container runs for `run_sec` and ends with 0."""

    name = "memory"
    start_sec = 0.02
    run_sec = 0.05

    def __init__(self, args: PluginArgs) -> None:
        super().__init__(args)
        self.tally = Tally()
        self._lock = threading.Lock()
        self._containers: dict[str, Container] = {}
        self._events: Queue[ContainerEvent] = Queue()

    def info(self) -> EngineInfo:
        return EngineInfo("memory", "1", keeps_containers=True)

    def foreign(self) -> Sequence[str]:
        return ()

    def prepare(self) -> Sequence[Condition]:
        return ()

    def list(self) -> Sequence[Container]:
        with self._lock:
            return tuple(self._containers.values())

    def inspect(self, ref: str) -> Container:
        with self._lock:
            if ref not in self._containers:
                raise NotFound(f"no container {ref}")
            return self._containers[ref]

    def create(self, spec: ContainerSpec) -> Container:
        ref = f"container of {spec.bot_id}"
        with self._lock:
            if ref in self._containers:
                raise Conflict(f"{ref} is there")
            made = Container(
                ref=ref,
                name=ref,
                bot_id=spec.bot_id,
                type=spec.type,
                state=ContainerState.CREATED,
                launch=spec.launch,
                run=spec.labels.get("the0.run", ""),
                spec_hash=spec.labels["the0.spec"],
                platform_hash=spec.labels["the0.platform"],
                created_at=datetime.now(UTC),
            )
            self._containers[ref] = made
            self.tally.under_way += 1
            self.tally.starts.append(
                Started(made.run, made.bot_id, time.time(), self.tally.under_way)
            )
        return made

    def start(self, ref: str) -> None:
        time.sleep(self.start_sec)
        self._change(ref, state=ContainerState.RUNNING, started_at=datetime.now(UTC))
        with self._lock:
            self.tally.under_way -= 1
        threading.Timer(self.run_sec, self._end, (ref, 0)).start()

    def stop(self, ref: str, timeout_sec: float) -> None:
        self._end(ref, 143)

    def kill(self, ref: str) -> None:
        self._end(ref, 137)

    def unpause(self, ref: str) -> None:
        return

    def remove(self, ref: str) -> None:
        with self._lock:
            self._containers.pop(ref, None)

    def log_tail(self, ref: str, lines: int) -> Sequence[str]:
        return ()

    def peak_memory(self, ref: str) -> int | None:
        return None

    def events(self, stop: threading.Event) -> Iterator[ContainerEvent]:
        while not stop.is_set():
            try:
                yield self._events.get(timeout=0.2)
            except Empty:
                continue

    def address(self, ref: str, port: int) -> tuple[str, int]:
        raise NotFound("no container here listens")

    def has_image(self, tag: str, digest: str) -> bool:
        return True

    def build_image(self, tag: str, digest: str, spec: ImageSpec, progress: Progress) -> None:
        return

    def image_identity(self, tag: str) -> str:
        return tag

    def bot_volumes(self) -> Mapping[str, Sequence[str]]:
        return {}

    def remove_bot_volumes(self, bot_id: str) -> None:
        return

    def _change(self, ref: str, **fields: object) -> None:
        with self._lock:
            found = self._containers.get(ref)
            if found is None:
                raise NotFound(f"no container {ref}")
            self._containers[ref] = replace(found, **fields)  # type: ignore[arg-type]  # by name

    def _end(self, ref: str, code: int) -> None:
        with self._lock:
            found = self._containers.get(ref)
            if found is None or found.state is not ContainerState.RUNNING:
                return
            now = datetime.now(UTC)
            self._containers[ref] = replace(
                found, state=ContainerState.EXITED, exit_code=code, finished_at=now
            )
        self._events.put(ContainerEvent(ContainerAction.DIED, found.bot_id, ref, now))
