"""The folders of containers and volumes, made so that each appears whole and goes whole."""

from __future__ import annotations

import errno
import os
import random
import secrets
import shutil
import socket
import time
from contextlib import suppress
from pathlib import Path

from the0.builtin import docker_names as names
from the0.builtin import executor_process_record as records
from the0.builtin.executor_process_record import Record
from the0.builtin.executor_process_root import USER
from the0.errors import Conflict
from the0.models import ContainerSpec, Purpose

VOLUMES = {"state": "/state", "logs": "/var/the0"}
PORTS = (20_000, 30_000)
"""Where query servers listen: below the ports that Linux gives to outgoing connections."""

_ABANDONED_SEC = 3600.0


def make_container(own: Path, instance: str, spec: ContainerSpec, tree: Path) -> Record:
    """A container below `own`, the installation's folder, with its volumes where it is the first
    one of its bot. Raises Conflict when the bot has one already."""
    scratch = own / "containers" / f".new-{secrets.token_hex(6)}"
    try:
        record = _fill(scratch, own, instance, spec, tree)
        _put_in_place(scratch, scratch.with_name(record.name))
        return record
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _fill(scratch: Path, own: Path, instance: str, spec: ContainerSpec, tree: Path) -> Record:
    name = _name(instance, spec)
    final = scratch.with_name(name)
    scratch.mkdir(mode=0o700)
    (scratch / "root").mkdir()
    _make_own(scratch / "bot")
    if spec.purpose is Purpose.QUERY:
        volumes = final
        _make_volumes(scratch)
    else:
        volumes = own / "volumes" / name
        _make_volumes(volumes)
        records.write_json(volumes / "bot.json", {"id": spec.bot_id})
    folders = {path: str(volumes / kind) for kind, path in VOLUMES.items()}
    record = _record(spec, name, tree, {"/bot": str(final / "bot"), **folders})
    record.write(scratch)
    return record


def _name(instance: str, spec: ContainerSpec) -> str:
    if spec.purpose is Purpose.QUERY:
        return names.query_name(instance, spec.launch)
    return names.container_name(instance, spec.bot_id)


def _record(spec: ContainerSpec, name: str, tree: Path, folders: dict[str, str]) -> Record:
    return Record(
        ref=f"{name}.{secrets.token_hex(6)}",
        name=name,
        bot_id=spec.bot_id,
        type=spec.type.value,
        purpose=spec.purpose.value,
        launch=spec.launch,
        run=spec.labels.get(names.RUN, ""),
        spec_hash=spec.labels.get(names.SPEC, ""),
        platform_hash=spec.labels.get(names.PLATFORM, ""),
        created_at=records.now(),
        command=tuple(spec.command),
        env=dict(spec.env),
        tree=str(tree),
        folders=folders,
        gateway_dir=spec.gateway_dir,
        tmp_bytes=spec.limits.tmp_bytes,
        open_files=spec.limits.open_files,
    )


def _make_volumes(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    for kind in VOLUMES:
        _make_own(folder / kind)


def _make_own(folder: Path) -> None:
    """A folder of the bot's."""
    folder.mkdir(mode=0o755, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(folder, USER, USER)


def _put_in_place(scratch: Path, final: Path) -> None:
    try:
        scratch.rename(final)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise Conflict(f"Container {final.name} exists already.") from None
        raise


def remove_tree(folder: Path) -> None:
    """Remove `folder`, whatever a bot did to it; no error when it is gone."""
    if os.geteuid() != 0:
        # A bot may have shut its folders against its own user.
        for place, below, _ in os.walk(folder):
            for path in (Path(place, name) for name in below):
                if not path.is_symlink():
                    path.chmod(0o700)
    while folder.exists():
        with suppress(FileNotFoundError):  # another process removes it, too
            shutil.rmtree(folder)


def remove_leftovers(folder: Path) -> None:
    """What a host that died left half made or half removed in the folder of containers."""
    for left in folder.glob(".gone-*"):
        remove_tree(left)
    for left in folder.glob(".new-*"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _ABANDONED_SEC:
                remove_tree(left)


def free_port(taken: set[int]) -> int:
    """One that nobody listens on; with luck it is still free when the bot asks for it."""
    while True:
        port = random.randrange(*PORTS)  # noqa: S311 - no secret
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            if port not in taken:
                return port
