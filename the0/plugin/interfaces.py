"""One abstract base class per kind of plugin.

Methods are plain and may block: the host runs each plugin's calls in a bounded thread pool of its
own, with a time-out, so they must be safe to call from several threads. They raise errors of
:mod:`the0.errors` and nothing else: :class:`~the0.errors.NotFound` only for the certain answer,
:class:`~the0.errors.Unavailable` whenever the truth is unknown, and of that
:class:`~the0.errors.ServerFault` where an answer came, and said that it failed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO, ClassVar, TypeVar

from the0.models import Condition, Container, ContainerEvent, ContainerSpec

API_VERSION = 1
"""Version of these interfaces; a plugin class with another `api_version` is refused by name."""

S = TypeVar("S")


@dataclass(frozen=True)
class PluginArgs:
    """What every plugin object is constructed with.

    `instance` is the installation's name on its engine, `installation` its unique id (empty where
    no database has been asked yet), `state_dir` its state directory, `sections` the parsed
    settings dataclasses by class (see :meth:`section`).
    """

    instance: str
    installation: str
    state_dir: Path
    sections: Mapping[type, Any] = field(default_factory=dict)

    def section(self, kind: type[S]) -> S:
        """The settings of `kind`, a dataclass named in some plugin class's `settings`."""
        found: S = self.sections[kind]
        return found


class Plugin(ABC):
    """What all kinds share.

    `name` is what settings and documents choose it by; `settings` is a frozen dataclass whose
    fields are made with :func:`the0.settings.setting`, or None where there is nothing to set.
    """

    name: ClassVar[str]
    api_version: ClassVar[int] = 1
    settings: ClassVar[type | None] = None

    def __init__(self, args: PluginArgs) -> None:
        self.args = args

    def close(self) -> None:
        """Release connections and threads; called once, at the host's end."""
        return


# --- runtimes -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ImageSpec:
    """What a runtime's image holds beside the agent.

    `packages` are Debian (bookworm) packages; `files` maps absolute paths in the image to local
    files or folders copied there (bytecode compiled by the builder where `compile_python` lists
    the path); `links` maps a path in the image to the target of a symbolic link.
    """

    packages: Sequence[str]
    files: Mapping[str, Path] = field(default_factory=dict)
    compile_python: Sequence[str] = ()
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ProcessPlan:
    """How a bot's processes are started inside its container.

    `bot` and `query` are argument lists (query None where there is no query entrypoint); `env` is
    added to what the contract gives both processes; `executables` are files below /bot that get
    their execute bit.
    """

    bot: Sequence[str]
    query: Sequence[str] | None
    env: Mapping[str, str] = field(default_factory=dict)
    executables: Sequence[str] = ()


class Runtime(Plugin):
    """A language: its image, how its bots start, how a project's dependencies are vendored."""

    aliases: ClassVar[Sequence[str]] = ()

    @abstractmethod
    def image(self) -> ImageSpec:
        """What the image needs. Pure: the same answer until the plugin is upgraded."""

    @abstractmethod
    def processes(self, entrypoints: Mapping[str, str]) -> ProcessPlan:
        """How to start a bot with these entrypoints (`bot`, perhaps `query`).

        Raises :class:`~the0.errors.InvalidInput` for an entrypoint that this runtime cannot start.
        """

    @abstractmethod
    def check_project(self, project: Path, entrypoints: Mapping[str, str]) -> Sequence[str]:
        """The faults of a bot project on disk, each naming its file; empty when there are none.

        A missing entrypoint is one, unless :meth:`vendor` makes it.
        """

    @abstractmethod
    def vendor(self, project: Path, progress: Progress) -> None:
        """Bring the project's dependencies into `project` (a scratch copy) for the image's
        platform, and build what the project itself says how to build. Raises
        :class:`~the0.errors.InvalidInput` with the tool's own words."""


class Progress(ABC):
    """Where a long step tells how far it is."""

    @abstractmethod
    def step(self, text: str) -> None:
        """One line for a person: what is being done now."""


# --- executors ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class EngineInfo:
    """`id` tells one engine from another, `keeps_containers` whether they outlive its restart."""

    id: str
    version: str
    keeps_containers: bool
    warnings: Sequence[str] = ()


class Executor(Plugin):
    """Runs containers. Only containers labelled with this installation are ever seen or touched."""

    @abstractmethod
    def info(self) -> EngineInfo:
        """Raises Unavailable when the engine does not answer."""

    @abstractmethod
    def foreign(self) -> Sequence[str]:
        """Names of containers of the predecessor (`runtime.managed=true` without our label)."""

    @abstractmethod
    def prepare(self) -> Sequence[Condition]:
        """Make networks and firewall as they should be; called before the first start and at each
        pass, so it must be cheap when nothing changed. What could not be done is a condition."""

    @abstractmethod
    def list(self) -> Sequence[Container]:
        """All containers of this installation, in every state. Raises Unavailable rather than
        giving a partial list."""

    @abstractmethod
    def inspect(self, ref: str) -> Container:
        """Raises NotFound only when the engine is certain."""

    @abstractmethod
    def create(self, spec: ContainerSpec) -> Container:
        """Raises Conflict when the bot has a container already (look again). One with the purpose
        QUERY has no bot: nothing of it stays once it is removed."""

    @abstractmethod
    def start(self, ref: str) -> None:
        """Start a created container; no error when it runs already."""

    @abstractmethod
    def stop(self, ref: str, timeout_sec: float) -> None:
        """SIGTERM, wait up to `timeout_sec`, SIGKILL; returns when it has ended. No error when it
        has ended already or is gone."""

    @abstractmethod
    def kill(self, ref: str) -> None:
        """SIGKILL; no error when it has ended already or is gone."""

    @abstractmethod
    def unpause(self, ref: str) -> None:
        """Let a paused container go on; no error when it is not paused or is gone."""

    @abstractmethod
    def remove(self, ref: str) -> None:
        """Remove an ended or never started container, its anonymous volumes too; the bot's own
        volumes stay. No error when it is gone. Raises Conflict while it runs."""

    @abstractmethod
    def log_tail(self, ref: str, lines: int) -> Sequence[str]:
        """The last lines the container wrote to its own stdout and stderr; empty when gone."""

    @abstractmethod
    def peak_memory(self, ref: str) -> int | None:
        """Peak memory in bytes of a running container, None where it cannot be had."""

    @abstractmethod
    def events(self, stop: Event) -> Iterator[ContainerEvent]:
        """Block and yield what happens, until `stop` is set (returns within a second) or the
        engine goes away (raises Unavailable). May miss or repeat events."""

    @abstractmethod
    def address(self, ref: str, port: int) -> tuple[str, int]:
        """Where `port` of the running container is reached from this host."""

    @abstractmethod
    def has_image(self, tag: str, digest: str) -> bool:
        """Whether image `tag` exists and was built from the inputs with this digest."""

    @abstractmethod
    def build_image(self, tag: str, digest: str, spec: ImageSpec, progress: Progress) -> None:
        """Build `tag` (agent included) and label it with the digest of its inputs."""

    @abstractmethod
    def image_identity(self, tag: str) -> str:
        """The engine's own id of the image's content. Raises NotFound; InvalidInput for an image
        that lacks the agent (no label ``the0.agent``), by name."""

    @abstractmethod
    def bot_volumes(self) -> Mapping[str, Sequence[str]]:
        """Bot id -> names of its volumes (state, logs), of bots with and without a container."""

    @abstractmethod
    def remove_bot_volumes(self, bot_id: str) -> None:
        """Remove a bot's volumes; Conflict while a container uses them; no error when gone."""


# --- storage ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ObjectInfo:
    """An object without its content. `etag` changes whenever the content does."""

    key: str
    size: int
    etag: str
    modified: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


class ObjectReader(ABC):
    """An opened object: `info` and its bytes. Used as a context manager."""

    info: ObjectInfo

    @abstractmethod
    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, b"" at the end. Raises Unavailable when the stream breaks off."""

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> ObjectReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Storage(Plugin):
    """An object store with buckets. A put is atomic: the old object stays until the new one is
    complete, and a reader never sees half of one."""

    @abstractmethod
    def ping(self) -> None:
        """Raises Unavailable when the store does not answer, InvalidInput for wrong credentials."""

    @abstractmethod
    def ensure_bucket(self, bucket: str) -> None:
        """Create the bucket unless it exists."""

    @abstractmethod
    def head(self, bucket: str, key: str) -> ObjectInfo:
        """Raises NotFound only on the store's certain answer."""

    @abstractmethod
    def open(self, bucket: str, key: str) -> ObjectReader:
        """Raises NotFound only on the store's certain answer."""

    @abstractmethod
    def put(
        self,
        bucket: str,
        key: str,
        body: BinaryIO,
        size: int,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """Store exactly `size` bytes of `body` with this metadata (lower-case ASCII names)."""

    @abstractmethod
    def delete(self, bucket: str, key: str) -> None:
        """No error when it does not exist."""

    @abstractmethod
    def list(self, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        """All objects below `prefix`, in byte order of their keys; metadata may be empty."""


# --- schedulers ---------------------------------------------------------------------------------


class Scheduler(Plugin):
    """A syntax for "when": says when a schedule is next due."""

    @abstractmethod
    def validate(self, expression: str, timezone: str) -> None:
        """Raises :class:`~the0.errors.InvalidInput` naming what is wrong, also for an expression
        that never fires."""

    @abstractmethod
    def next_after(self, expression: str, timezone: str, after: datetime) -> datetime:
        """The first due time strictly after `after` (aware, UTC), in UTC."""
