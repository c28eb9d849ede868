"""What the executor tells Docker of a container, and what it reads back. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from the0.builtin import docker_names as names
from the0.models import (
    BotType,
    Container,
    ContainerAction,
    ContainerEvent,
    ContainerSpec,
    ContainerState,
    Purpose,
)

JSON = Mapping[str, Any]

USER = "1000:1000"
GATEWAY_TARGET = "/run/the0"
_ACTIONS = {
    "start": ContainerAction.STARTED,
    "die": ContainerAction.DIED,
    "destroy": ContainerAction.REMOVED,
    "oom": ContainerAction.OOM,
}
EVENTS: Sequence[str] = tuple(_ACTIONS)

_TIME = re.compile(
    r"(?P<second>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.(?P<fraction>\d+))?(?P<zone>Z|[+-]\d\d:\d\d)",
    re.ASCII,
)
_LOG_LINE = 4096
_LOG_TOTAL = 65536


@dataclass(frozen=True)
class Placement:
    """Where and how this installation's containers run, beside what their specs say.

    `open_files` is the most that the engine can grant a process, `network` the name of the
    network, `image` replaces the spec's where the site has one image for all runtimes.
    """

    instance: str
    installation: str
    network: str
    image: str
    open_files: int
    log_max_size: str
    log_max_files: int


def labels_of(spec: ContainerSpec, place: Placement) -> dict[str, str]:
    """The spec's labels, and those by which this installation knows its own."""
    whose = {names.BOT_ID: spec.bot_id, names.BOT_TYPE: spec.type.value}
    if spec.purpose is Purpose.QUERY:
        whose = {names.PURPOSE: spec.purpose.value}
    return {
        **spec.labels,
        names.MANAGED: "true",
        names.LAUNCH: spec.launch,
        names.INSTALLATION: place.installation,
        names.INSTANCE: place.instance,
        **whose,
    }


def name_of(spec: ContainerSpec, instance: str) -> str:
    """What the container of `spec` is called; the engine refuses a second one."""
    if spec.purpose is Purpose.QUERY:
        return names.query_name(instance, spec.launch)
    return names.container_name(instance, spec.bot_id)


def create_request(spec: ContainerSpec, place: Placement) -> dict[str, Any]:
    """The body of `POST /containers/create`.

    `spec.command` is the whole argument list; the image's own entrypoint is not used.
    """
    return {
        "Image": place.image,
        "Entrypoint": list(spec.command),
        "Cmd": [],
        "Env": [f"{name}={value}" for name, value in spec.env.items()],
        "User": USER,
        "Labels": labels_of(spec, place),
        "StopSignal": "SIGTERM",
        "StopTimeout": math.ceil(spec.stop_timeout_sec),
        "HostConfig": _host_config(spec, place),
        "NetworkingConfig": {"EndpointsConfig": {place.network: {}}},
    }


def _host_config(spec: ContainerSpec, place: Placement) -> dict[str, Any]:
    limits = spec.limits
    files = min(limits.open_files, place.open_files)
    return {
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        # Docker's own init would be process 1 and keep the container's environment readable.
        "Init": False,
        "Memory": limits.memory_bytes,
        "MemorySwap": limits.memory_bytes,
        "NanoCpus": round(limits.cpus * 1e9),
        "CpuShares": limits.cpu_shares,
        "PidsLimit": limits.pids,
        "Ulimits": [
            {"Name": "nofile", "Soft": files, "Hard": files},
            {"Name": "core", "Soft": 0, "Hard": 0},
        ],
        "Tmpfs": {
            "/tmp": _tmpfs(limits.tmp_bytes, "exec"),  # noqa: S108 - libraries unpack code there
            "/query": _tmpfs(limits.tmp_bytes, "noexec"),
        },
        "Mounts": _mounts(spec, place),
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": place.log_max_size, "max-file": str(place.log_max_files)},
        },
        "NetworkMode": place.network,
        "RestartPolicy": {"Name": "no"},
        "IpcMode": "private",
    }


def _tmpfs(size: int, execution: str) -> str:
    # A tmpfs hides what the image has there, its owner too.
    return f"rw,nosuid,nodev,{execution},size={size},mode=0700,uid=1000,gid=1000"


def _mounts(spec: ContainerSpec, place: Placement) -> list[dict[str, Any]]:
    gateway = {
        "Type": "bind",
        "Source": spec.gateway_dir,
        "Target": GATEWAY_TARGET,
        "ReadOnly": True,
        "BindOptions": {"Propagation": "rprivate"},
    }
    return [*_volumes(spec, place), {"Type": "volume", "Target": "/bot"}, gateway]


def _volumes(spec: ContainerSpec, place: Placement) -> list[dict[str, Any]]:
    """A bot's volumes outlive its containers; those of a query go with it."""
    named = {"state": "/state", "logs": "/var/the0"}
    if spec.purpose is Purpose.QUERY:
        return [{"Type": "volume", "Target": target} for target in named.values()]
    return [_volume(spec.bot_id, kind, target, place) for kind, target in named.items()]


def _volume(bot_id: str, kind: str, target: str, place: Placement) -> dict[str, Any]:
    labels = {
        names.INSTALLATION: place.installation,
        names.INSTANCE: place.instance,
        names.BOT_ID: bot_id,
        names.VOLUME: kind,
    }
    source = names.volume_name(place.instance, bot_id, kind)
    return {
        "Type": "volume",
        "Source": source,
        "Target": target,
        "VolumeOptions": {"Labels": labels},
    }


def created(ref: str, name: str, spec: ContainerSpec, at: datetime) -> Container:
    """The container that a create has just made of `spec`."""
    return Container(
        ref=ref,
        name=name,
        bot_id=spec.bot_id,
        type=spec.type,
        state=ContainerState.CREATED,
        purpose=spec.purpose,
        launch=spec.launch,
        run=spec.labels.get(names.RUN, ""),
        spec_hash=spec.labels.get(names.SPEC, ""),
        platform_hash=spec.labels.get(names.PLATFORM, ""),
        created_at=at,
    )


def from_list(entry: JSON) -> Container:
    """One entry of `GET /containers/json`. That answer holds neither exit code nor the times of
    start and end: they are None here, and known to an inspect."""
    labels: Mapping[str, str] = entry.get("Labels") or {}
    networks = (entry.get("NetworkSettings") or {}).get("Networks")
    created_unix = entry.get("Created")
    return Container(
        ref=entry["Id"],
        name=next(iter(entry.get("Names") or [""])).removeprefix("/"),
        created_at=datetime.fromtimestamp(created_unix, UTC) if created_unix else None,
        state=state_of(entry.get("State")),
        address=_address(networks),
        **_from_labels(labels),
    )


def from_inspect(answer: JSON) -> Container:
    """The answer of `GET /containers/<id>/json`."""
    state: JSON = answer.get("State") or {}
    labels: Mapping[str, str] = (answer.get("Config") or {}).get("Labels") or {}
    ended = state_of(state.get("Status")) in (ContainerState.EXITED, ContainerState.DEAD)
    return Container(
        ref=answer["Id"],
        name=str(answer.get("Name", "")).removeprefix("/"),
        state=state_of(state.get("Status")),
        created_at=parse_time(answer.get("Created")),
        started_at=parse_time(state.get("StartedAt")),
        finished_at=parse_time(state.get("FinishedAt")) if ended else None,
        exit_code=state.get("ExitCode") if ended else None,
        oom_killed=bool(state.get("OOMKilled")),
        error=str(state.get("Error") or ""),
        address=_address((answer.get("NetworkSettings") or {}).get("Networks")),
        **_from_labels(labels),
    )


def _from_labels(labels: Mapping[str, str]) -> dict[str, Any]:
    scheduled = labels.get(names.BOT_TYPE) == BotType.SCHEDULED
    query = labels.get(names.PURPOSE) == Purpose.QUERY
    return {
        "purpose": Purpose.QUERY if query else Purpose.BOT,
        "bot_id": labels.get(names.BOT_ID, ""),
        "type": BotType.SCHEDULED if scheduled else BotType.REALTIME,
        "launch": labels.get(names.LAUNCH, ""),
        "run": labels.get(names.RUN, ""),
        "spec_hash": labels.get(names.SPEC, ""),
        "platform_hash": labels.get(names.PLATFORM, ""),
    }


def state_of(text: object) -> ContainerState:
    """Docker's word for a container's state; any word that is not known is UNKNOWN."""
    try:
        return ContainerState(str(text))
    except ValueError:
        return ContainerState.UNKNOWN


def _address(networks: Mapping[str, JSON] | None) -> str | None:
    addresses = [str(network.get("IPAddress") or "") for network in (networks or {}).values()]
    return next((address for address in addresses if address), None)


def network_of(entry: JSON) -> str | None:
    """The name of the network of one entry of the container list."""
    networks = (entry.get("NetworkSettings") or {}).get("Networks") or {}
    return next(iter(networks), None)


def event_of(event: JSON) -> ContainerEvent | None:
    """A message of the event stream; None for one that says nothing to us."""
    actor: JSON = event.get("Actor") or {}
    attributes: Mapping[str, str] = actor.get("Attributes") or {}
    action = _ACTIONS.get(str(event.get("Action")))
    if action is None or names.BOT_ID not in attributes:
        return None
    at = datetime.fromtimestamp(int(event.get("timeNano") or 0) / 1e9, UTC)
    return ContainerEvent(action, attributes[names.BOT_ID], str(actor.get("ID", "")), at)


def parse_time(text: object) -> datetime | None:
    """Docker's RFC 3339 time with nanoseconds, in UTC; None for its zero time or nonsense."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None or match["second"].startswith("0001-"):
        return None
    fraction = (match["fraction"] or "").ljust(6, "0")[:6]
    try:
        parsed = datetime.fromisoformat(f"{match['second']}.{fraction}{match['zone']}")
        return parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def log_lines(raw: bytes, lines: int) -> list[str]:
    """The last `lines` lines of a container's output: long ones are cut, and of too many bytes
    the last 64 KiB are kept, because exit records hold these lines."""
    whole = raw.decode("utf-8", "replace").removesuffix("\n")
    texts = [
        line if len(line) <= _LOG_LINE else line[:_LOG_LINE] + "…"
        for line in (whole.split("\n")[-lines:] if raw else ())
    ]
    kept: list[str] = []
    left = _LOG_TOTAL
    for text in reversed(texts):
        left -= len(text)
        if left < 0:
            break
        kept.append(text)
    return kept[::-1]
