"""The executor that runs bots in Docker containers. A thin shell: what is sent and what is read
back is decided in the modules beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event
from typing import Any, ClassVar

from docker import APIClient

from the0.agent.build import build_agent
from the0.builtin import docker_containers as containers
from the0.builtin import docker_events, docker_memory
from the0.builtin import docker_names as names
from the0.builtin.docker_client import Clients, most_open_files
from the0.builtin.docker_errors import NO_IMAGE, NO_VOLUME, translated
from the0.builtin.docker_guard import Guard
from the0.builtin.docker_images import Content, Images
from the0.builtin.docker_network import Networks
from the0.builtin.docker_settings import DockerSettings
from the0.errors import Conflict, InvalidInput, NotFound, Unavailable
from the0.models import Condition, Container, ContainerEvent, ContainerSpec, ContainerState
from the0.plugin.interfaces import EngineInfo, Executor, ImageSpec, PluginArgs, Progress
from the0.settings import ExecutorSettings

_OVER = (ContainerState.CREATED, ContainerState.EXITED, ContainerState.DEAD)


class DockerExecutor(Executor):
    """Containers of one installation on one Docker engine."""

    name: ClassVar[str] = "docker"
    settings: ClassVar[type | None] = DockerSettings

    def __init__(self, args: PluginArgs) -> None:
        super().__init__(args)
        self._options = args.section(DockerSettings)
        self._timeout = args.sections.get(ExecutorSettings, ExecutorSettings()).timeout_sec
        self._clients = Clients(self._options.host)
        self._networks = Networks(args.instance, args.installation, self._options.bots_per_network)
        self._guard = Guard(args, self._clients.is_local)
        self._images = Images(self._clients.get, self._options)

    def close(self) -> None:
        self._clients.close()

    # --- the engine -----------------------------------------------------------------------------

    def info(self) -> EngineInfo:
        with translated("say what it is"):
            return engine_info(self._client.info())

    def foreign(self) -> Sequence[str]:
        with translated("list containers"):
            found = self._client.containers(all=True, filters={"label": [f"{names.MANAGED}=true"]})
        return [
            containers.from_list(entry).name
            for entry in found
            if names.INSTALLATION not in (entry.get("Labels") or {})
        ]

    def prepare(self) -> Sequence[Condition]:
        self._networks.ensure(self._client)
        return self._guard.apply()

    def dismantle(self) -> None:
        """Take away what :meth:`prepare` made: this instance's networks and firewall chains.

        Raises :class:`~the0.errors.Conflict` while a container is attached to a network.
        """
        self._networks.remove_all(self._client)
        self._guard.remove()

    # --- containers -----------------------------------------------------------------------------

    def list(self) -> Sequence[Container]:
        with translated("list containers"):
            found = self._client.containers(all=True, filters={"label": [self._own_label]})
        self._networks.seen(map(containers.network_of, found))
        return [containers.from_list(entry) for entry in found]

    def inspect(self, ref: str) -> Container:
        return containers.from_inspect(self._look(ref))

    def create(self, spec: ContainerSpec) -> Container:
        if not self.args.installation:
            raise InvalidInput("A container needs an installation id; ask the database for it.")
        name = containers.name_of(spec, self.args.instance)
        request = containers.create_request(spec, self._placement(spec))
        with translated(f"create container {name}", NO_IMAGE):
            answer = self._client.create_container_from_config(  # type: ignore[no-untyped-call]
                request, name=name
            )
        return containers.created(answer["Id"], name, spec, datetime.now(UTC))

    def start(self, ref: str) -> None:
        with translated(f"start container {ref}"):
            self._client.start(ref)

    def stop(self, ref: str, timeout_sec: float) -> None:
        if self._may_run(ref):
            with suppress(Conflict, NotFound), translated(f"stop container {ref}"):
                self._client.stop(ref, timeout=math.ceil(timeout_sec))

    def kill(self, ref: str) -> None:
        if self._may_run(ref):
            with suppress(Conflict, NotFound), translated(f"kill container {ref}"):
                self._client.kill(ref)

    def unpause(self, ref: str) -> None:
        found = self._find(ref)
        if found is not None and found.state is ContainerState.PAUSED:
            with suppress(Conflict, NotFound), translated(f"unpause container {ref}"):
                self._client.unpause(ref)

    def remove(self, ref: str) -> None:
        found = self._find(ref)
        if found is None:
            return
        if found.state not in _OVER:
            raise Conflict(f"Container {found.name} is {found.state}; it is removed once it ends.")
        with suppress(NotFound), translated(f"remove container {found.name}"):
            self._client.remove_container(ref, v=True)

    def log_tail(self, ref: str, lines: int) -> Sequence[str]:
        try:
            with translated(f"read the log of container {ref}"):
                raw = self._client.logs(ref, stdout=True, stderr=True, tail=lines)
        except NotFound:
            return []
        return containers.log_lines(raw, lines)

    def peak_memory(self, ref: str) -> int | None:
        if not self._clients.is_local:
            return None
        try:
            pid = (self._look(ref).get("State") or {}).get("Pid")
        except NotFound:
            return None
        return docker_memory.peak_of(pid) if pid else None

    def events(self, stop: Event) -> Iterator[ContainerEvent]:
        return docker_events.follow(self._client, self.args.installation, stop)

    def address(self, ref: str, port: int) -> tuple[str, int]:
        found = self.inspect(ref)
        if found.address is None:
            raise Unavailable(f"Container {found.name} does not run, so it has no address.")
        return found.address, port

    # --- images ---------------------------------------------------------------------------------

    def has_image(self, tag: str, digest: str) -> bool:
        return self._images.has(self._client, tag, digest)

    def build_image(self, tag: str, digest: str, spec: ImageSpec, progress: Progress) -> None:
        self._images.build(tag, digest, Content(spec, build_agent()), progress)
        for old in self.remove_old_images():
            progress.step(f"Removed old image {old}")

    def image_identity(self, tag: str) -> str:
        return self._images.identity(self._client, tag)

    def remove_old_images(self) -> Sequence[str]:
        """Remove images of ours that nothing uses, but the newest few of each runtime (setting
        `docker.images_kept`) and those of the last day; returns their tags."""
        return self._images.remove_old(self._client)

    # --- volumes --------------------------------------------------------------------------------

    def bot_volumes(self) -> Mapping[str, Sequence[str]]:
        with translated("list volumes", NO_VOLUME):
            answer = self._client.volumes(filters={"label": [self._own_label]})
        found: dict[str, list[str]] = {}
        for volume in answer.get("Volumes") or ():
            bot_id = (volume.get("Labels") or {}).get(names.BOT_ID)
            if bot_id is not None:
                found.setdefault(bot_id, []).append(volume["Name"])
        return {bot_id: sorted(volumes) for bot_id, volumes in found.items()}

    def remove_bot_volumes(self, bot_id: str) -> None:
        for kind in names.VOLUME_KINDS:
            self._remove_volume(names.volume_name(self.args.instance, bot_id, kind))

    def _remove_volume(self, name: str) -> None:
        with suppress(NotFound), translated(f"remove volume {name}", NO_VOLUME):
            labels = self._client.inspect_volume(name).get("Labels") or {}
            if labels.get(names.INSTALLATION) == self.args.installation:
                self._client.remove_volume(name)

    # --- helpers --------------------------------------------------------------------------------

    @property
    def _client(self) -> APIClient:
        return self._clients.get(self._timeout)

    @property
    def _own_label(self) -> str:
        return f"{names.INSTALLATION}={self.args.installation}"

    def _look(self, ref: str) -> Mapping[str, Any]:
        with translated(f"look at container {ref}"):
            answer: Mapping[str, Any] = self._client.inspect_container(ref)
        labels = (answer.get("Config") or {}).get("Labels") or {}
        if labels.get(names.INSTALLATION) != self.args.installation:
            raise NotFound(f"No container {ref} of this installation.")
        return answer

    def _find(self, ref: str) -> Container | None:
        try:
            return self.inspect(ref)
        except NotFound:
            return None

    def _may_run(self, ref: str) -> bool:
        found = self._find(ref)
        return found is not None and found.state not in _OVER

    def _placement(self, spec: ContainerSpec) -> containers.Placement:
        return containers.Placement(
            instance=self.args.instance,
            installation=self.args.installation,
            network=self._networks.take(self._client),
            image=self._images.resolve(spec.image),
            open_files=most_open_files(),
            log_max_size=self._options.log_max_size,
            log_max_files=self._options.log_max_files,
        )


def engine_info(answer: Mapping[str, Any]) -> EngineInfo:
    """What `GET /info` tells: who the engine is and what it cannot do for us."""
    lacks = {
        "MemoryLimit": "It cannot limit memory (no memory control group).",
        "SwapLimit": "It cannot limit swap: a bot over its memory swaps instead of being ended.",
        "CpuCfsQuota": "It cannot limit CPU (no CPU quota in the kernel).",
        "PidsLimit": "It cannot limit processes (no pids control group).",
    }
    warnings = [text for key, text in lacks.items() if not answer.get(key, True)]
    security = answer.get("SecurityOptions") or ()
    if security and not any("name=seccomp" in option for option in security):
        warnings.append("It has no seccomp: all system calls are open to bots.")
    if any("name=rootless" in option for option in security):
        warnings.append("It is rootless: the firewall and other host rules do not apply to it.")
    if answer.get("OSType", "linux") != "linux":
        warnings.append(f"It runs {answer['OSType']} containers; bots need Linux.")
    return EngineInfo(
        id=str(answer.get("ID", "")),
        version=str(answer.get("ServerVersion", "")),
        keeps_containers=bool(answer.get("LiveRestoreEnabled")),
        warnings=warnings,
    )
