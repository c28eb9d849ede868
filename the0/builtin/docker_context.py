"""What goes into an image: a tar of files for the engine's builder, the same bytes for the same
input, and the text of the Dockerfile. Nothing here talks to an engine."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from the0.builtin import docker_names as names
from the0.plugin.interfaces import ImageSpec

AGENT_PATH = "/app/runtime"
_MTIME = 946684800  # 2000-01-01: a fixed time that zip files can express, too
_BOT = 1000
_FOLDERS = ("bot", "query", "run/the0", "state", "var/the0")


def write_context(target: BinaryIO, dockerfile: str, rootfs: Path | None = None) -> None:
    """A build context of a Dockerfile and perhaps `rootfs.tar`, written to `target`, rewound."""
    with tarfile.open(fileobj=target, mode="w") as tar:
        _add_bytes(tar, "Dockerfile", dockerfile.encode(), 0o644)
        if rootfs is not None:
            _add_file(tar, "rootfs.tar", rootfs)
    target.seek(0)


def write_rootfs(target: BinaryIO, spec: ImageSpec, agent: bytes) -> None:
    """The files of a runtime's image: the spec's, the agent, and the folders that volumes are
    mounted on (a named volume takes over the owner that its folder has in the image)."""
    with tarfile.open(fileobj=target, mode="w") as tar:
        for folder in _FOLDERS:
            _add_folder(tar, folder, owner=_BOT)
        _add_folder(tar, "app")
        _add_bytes(tar, _inside(AGENT_PATH), agent, 0o755)
        for path in _parents(spec):
            _add_folder(tar, path)
        for path, source in sorted(spec.files.items()):
            _add_tree(tar, _inside(path), source)
        for path, aim in sorted(spec.links.items()):
            link = _entry(_inside(path))
            link.type, link.linkname = tarfile.SYMTYPE, aim
            tar.addfile(link)
    target.seek(0)


def dockerfile(base: str, spec: ImageSpec, labels: Mapping[str, str]) -> str:
    """How a runtime's image is made on top of `base`."""
    marks = " ".join(f"{key}={json.dumps(value)}" for key, value in sorted(labels.items()))
    # The labels come first: by them the layers of a build that failed are found again.
    steps = [f"FROM {base}", f"LABEL {marks}", "ADD rootfs.tar /"]
    if spec.compile_python:
        command = ["python3", "-I", "-m", "compileall", "-q", "--invalidation-mode"]
        steps.append(f"RUN {json.dumps([*command, 'unchecked-hash', *spec.compile_python])}")
    steps += [
        "USER 1000:1000",
        "WORKDIR /bot",
        f"ENTRYPOINT {json.dumps([AGENT_PATH])}",
    ]
    return "\n".join(steps) + "\n"


def image_labels(digest: str, agent: str) -> dict[str, str]:
    """Labels by which an image is known as ours and as made from these inputs."""
    return {names.DIGEST: digest, names.AGENT: agent}


def _parents(spec: ImageSpec) -> list[str]:
    # Not the first level: there the base has links (/lib), which a folder would replace.
    found = {
        str(parent)
        for path in (*spec.files, *spec.links)
        for parent in PurePosixPath(_inside(path)).parents
        if len(parent.parts) > 1
    }
    return sorted(found)


def _inside(path: str) -> str:
    return str(PurePosixPath(path)).lstrip("/")


def _add_tree(tar: tarfile.TarFile, path: str, source: Path) -> None:
    if not source.is_dir():
        _add_file(tar, path, source)
        return
    _add_folder(tar, path)
    for relative, local in _walk(source):
        if local.is_dir():
            _add_folder(tar, f"{path}/{relative}")
        else:
            _add_file(tar, f"{path}/{relative}", local)


def _walk(source: Path) -> Iterator[tuple[str, Path]]:
    for local in sorted(source.rglob("*")):
        relative = local.relative_to(source)
        if "__pycache__" not in relative.parts:
            yield relative.as_posix(), local


def _add_folder(tar: tarfile.TarFile, path: str, owner: int = 0) -> None:
    folder = _entry(path)
    folder.type, folder.mode = tarfile.DIRTYPE, 0o755
    folder.uid = folder.gid = owner
    tar.addfile(folder)


def _add_file(tar: tarfile.TarFile, path: str, source: Path) -> None:
    entry = _entry(path)
    stat = source.stat()
    entry.size = stat.st_size
    entry.mode = 0o755 if stat.st_mode & 0o100 else 0o644
    with source.open("rb") as content:
        tar.addfile(entry, content)


def _add_bytes(tar: tarfile.TarFile, path: str, content: bytes, mode: int) -> None:
    entry = _entry(path)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _entry(path: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.mtime = _MTIME
    return entry
