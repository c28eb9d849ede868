"""The executor that runs bots as local processes, without Docker: for development.

Each bot has a mount namespace with the paths of the contract, a PID namespace, and the user 1000;
beyond that nothing keeps it from this machine: no limits on memory, CPU or processes, the host's
network, and whatever files are open to everybody.
"""

from __future__ import annotations

import os
import platform
import secrets
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from threading import Event
from typing import ClassVar

from the0.builtin import docker_names as names
from the0.builtin import executor_process_record as records
from the0.builtin.docker_containers import log_lines
from the0.builtin.executor_process_events import listen, tell
from the0.builtin.executor_process_folders import (
    VOLUMES,
    free_port,
    make_container,
    remove_leftovers,
    remove_tree,
)
from the0.builtin.executor_process_images import PYTHON, Images
from the0.builtin.executor_process_record import OLDER_OUTPUT, OUTPUT, Record, Running
from the0.errors import Conflict, InvalidInput, NotFound, Unavailable
from the0.models import (
    Condition,
    Container,
    ContainerAction,
    ContainerEvent,
    ContainerSpec,
    ContainerState,
)
from the0.plugin import hookimpl
from the0.plugin.interfaces import EngineInfo, Executor, ImageSpec, PluginArgs, Progress

NOT_ISOLATED = (
    "Bots run as processes of this machine: nothing bounds their memory, CPU or processes, they "
    "use its network, and their query servers listen on it. Run strangers' code with Docker."
)
_START_SEC = 60.0
_KILL_SEC = 10.0
_KEPT = ("PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "TMPDIR")
_KEEPER = (sys.executable, "-P", "-m", "the0.builtin.executor_process_keeper")


class ProcessExecutor(Executor):
    """Containers of one installation as processes of this machine, kept below the state
    directory."""

    name: ClassVar[str] = "process"

    def __init__(self, args: PluginArgs) -> None:
        super().__init__(args)
        self._root = args.state_dir / "processes"
        self._own = self._root / (args.installation or "-")
        self._images = Images(self._root)
        self._since = datetime.now(UTC)

    # --- the engine -----------------------------------------------------------------------------

    def info(self) -> EngineInfo:
        with self._store():
            require_surroundings()
            return EngineInfo(
                id=self._engine_id(),
                version=f"process on Linux {platform.release()}",
                keeps_containers=True,
                warnings=[NOT_ISOLATED],
            )

    def foreign(self) -> Sequence[str]:
        with self._store():
            return []

    def prepare(self) -> Sequence[Condition]:
        with self._store():
            remove_leftovers(self._own / "containers")
        return [Condition("NotIsolated", "ProcessExecutor", NOT_ISOLATED, self._since)]

    # --- containers -----------------------------------------------------------------------------

    def list(self) -> Sequence[Container]:
        found = []
        with self._store():
            for folder in self._folders():
                with suppress(FileNotFoundError):  # removed meanwhile
                    found.append(records.look(folder))
        return found

    def inspect(self, ref: str) -> Container:
        with self._store():
            return self._look(ref)[1]

    def create(self, spec: ContainerSpec) -> Container:
        if not self.args.installation:
            raise InvalidInput("A container needs an installation id; ask the database for it.")
        with self._store():
            require_surroundings()
            tree = self._images.tree(spec.image)
            record = make_container(self._own, self.args.instance, spec, tree)
            return records.container(record, None, None)

    def start(self, ref: str) -> None:
        with self._store():
            folder, found = self._look(ref)
            if found.state is ContainerState.EXITED:
                raise Conflict(f"Container {found.name} has ended; make a new one.")
            if found.state is ContainerState.CREATED:
                self._start(folder)

    def stop(self, ref: str, timeout_sec: float) -> None:
        with suppress(NotFound):
            self._end(ref, signal.SIGTERM, timeout_sec)
            self._end(ref, signal.SIGKILL, _KILL_SEC)
            if self.inspect(ref).state is ContainerState.RUNNING:
                raise Unavailable(f"Container {ref} does not end, not even by SIGKILL.")

    def kill(self, ref: str) -> None:
        with suppress(NotFound):
            self._end(ref, signal.SIGKILL, _KILL_SEC)

    def unpause(self, ref: str) -> None:
        """Nothing is ever paused."""

    def remove(self, ref: str) -> None:
        with suppress(NotFound), self._store():
            folder, found = self._look(ref)
            if found.state is ContainerState.RUNNING:
                raise Conflict(f"Container {found.name} is running; it is removed once it ends.")
            gone = folder.with_name(f".gone-{ref}")
            folder.rename(gone)
            tell(self._own / "listeners", ContainerAction.REMOVED, ref, found.bot_id)
            remove_tree(gone)

    def log_tail(self, ref: str, lines: int) -> Sequence[str]:
        with suppress(NotFound), self._store():
            folder, _ = self._look(ref)
            raw = b"".join(_content(folder / name) for name in (OLDER_OUTPUT, OUTPUT))
            return log_lines(raw, lines)
        return []

    def peak_memory(self, ref: str) -> int | None:
        """Not counted."""
        return None

    def events(self, stop: Event) -> Iterator[ContainerEvent]:
        with self._store():
            yield from listen(self._own / "listeners", stop)

    def address(self, ref: str, port: int) -> tuple[str, int]:
        """Each query server has a port of its own on loopback, in place of `port`."""
        with self._store():
            folder, found = self._look(ref)
            running = Running.read(folder)
            if running is None or found.state is not ContainerState.RUNNING:
                raise Unavailable(f"Container {found.name} does not run, so it has no address.")
            return records.LOOPBACK, running.port

    # --- images ---------------------------------------------------------------------------------

    def has_image(self, tag: str, digest: str) -> bool:
        with self._store():
            return self._images.has(tag, digest)

    def build_image(self, tag: str, digest: str, spec: ImageSpec, progress: Progress) -> None:
        with self._store():
            self._images.build(tag, digest, spec, progress)
            every = self._root.glob("*/containers/*/record.json")
            self._images.remove_old(tag, {Record.read(path.parent).tree for path in every})

    def image_identity(self, tag: str) -> str:
        with self._store():
            return self._images.identity(tag)

    # --- volumes --------------------------------------------------------------------------------

    def bot_volumes(self) -> Mapping[str, Sequence[str]]:
        with self._store():
            found = sorted(self._own.glob("volumes/*/bot.json"))
            return {
                records.read_json(path)["id"]: [
                    f"{path.parent.name}-{kind}" for kind in sorted(VOLUMES)
                ]
                for path in found
            }

    def remove_bot_volumes(self, bot_id: str) -> None:
        name = names.container_name(self.args.instance, bot_id)
        with self._store():
            if (self._own / "containers" / name).exists():
                raise Conflict(f"The volumes of {bot_id!r} are used by its container {name}.")
            volume = self._own / "volumes" / name
            with suppress(FileNotFoundError):
                (volume / "bot.json").unlink()
                remove_tree(volume)

    # --- helpers --------------------------------------------------------------------------------

    @contextmanager
    def _store(self) -> Iterator[None]:
        """The folders are there; what the disk refuses leaves everything unknown."""
        try:
            for name in ("containers", "volumes", "listeners"):
                (self._own / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            yield
        except OSError as error:
            raise Unavailable(f"{self._root} cannot be used: {error}.") from error

    def _folders(self) -> Sequence[Path]:
        every = (self._own / "containers").iterdir()
        return sorted(folder for folder in every if not folder.name.startswith("."))

    def _look(self, ref: str) -> tuple[Path, Container]:
        """Where it is kept, and how it stands. Raises NotFound."""
        folder = self._own / "containers" / ref.rpartition(".")[0]
        with suppress(FileNotFoundError):
            found = records.look(folder)
            if found.ref == ref:
                return folder, found
        raise NotFound(f"No container {ref} of this installation.")

    def _start(self, folder: Path) -> None:
        taken = {one.port for one in map(Running.read, self._folders()) if one}
        words = _fails([*_KEEPER, str(folder), str(free_port(taken))])
        if words:
            raise Unavailable(f"Container {folder.name} could not be started: {words}.")

    def _end(self, ref: str, number: int, wait_sec: float) -> None:
        """Send a signal where it runs, and wait for its end. Raises NotFound."""
        with self._store():
            folder, found = self._look(ref)
            running = Running.read(folder)
            if running is None or found.state is not ContainerState.RUNNING:
                return
            keeper = running.keeper.handle()
            running.main.signal(number)
            if keeper is not None:
                _wait(keeper, wait_sec)

    def _engine_id(self) -> str:
        path = self._root / "engine"
        if not path.exists():
            scratch = path.with_name(f".engine.{secrets.token_hex(4)}")
            scratch.write_text(secrets.token_hex(16))
            with suppress(FileExistsError):
                path.hardlink_to(scratch)
            scratch.unlink()
        return path.read_text()


@cache
def require_surroundings() -> None:
    """Raises Unavailable where no process can be given surroundings of its own; asked until it
    could once."""
    if _fails([PYTHON, "-I", "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]):
        raise Unavailable(
            f"{PYTHON}, which runs the agent of every bot, is missing or older than 3.11."
        )
    words = _fails(_KEEPER)
    if words:
        raise Unavailable(
            f"Bots cannot be given folders of their own (/bot, /state, /query) here: {words}. Run "
            "the host as root, or let the kernel give its user namespaces (sysctl "
            "user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)."
        )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _wait(process: int, seconds: float) -> None:
    """Until the process of this pidfd, which is closed, has ended, at most so long."""
    try:
        poll = select.poll()
        poll.register(process, select.POLLIN)
        poll.poll(seconds * 1000)
    finally:
        os.close(process)


def _fails(command: Sequence[str]) -> str:
    """Run it with nothing of the host's own environment; empty when it ends with 0, else what it
    says."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=_START_SEC,
            env=kept,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (done.stderr.strip() or f"exit code {done.returncode}") if done.returncode else ""


@hookimpl
def the0_register_executor() -> type[ProcessExecutor]:
    """The executor named `process`."""
    return ProcessExecutor
