"""The archive of a project: the same content always gives the same bytes."""

from __future__ import annotations

import hashlib
import shutil
import stat
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from the0.errors import InvalidInput
from the0.plugin.interfaces import Progress
from the0.project.archive import read_archive
from the0.project.load import Project
from the0.settings import ArchiveSettings

EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class PackedProject:
    """An archive: `sha256` in hex, `size` in bytes."""

    path: Path
    sha256: str
    size: int


def pack(
    project: Project, folder: Path, progress: Progress, limits: ArchiveSettings | None = None
) -> PackedProject:
    """Vendor the dependencies and write the archive into `folder`.

    Raises InvalidInput for what cannot be vendored or packed, InvalidArchive when the result is
    out of bounds.
    """
    target = folder / f"{project.config.name}-{project.config.version}.zip"
    with tempfile.TemporaryDirectory(prefix="the0-pack-") as scratch:
        copy = Path(scratch)
        _copy_project(project, copy)
        project.runtime.vendor(copy, progress)
        progress.step("Packing")
        _write_zip(copy, target)
    read_archive(target, limits or ArchiveSettings())
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return PackedProject(target, digest, target.stat().st_size)


def _copy_project(project: Project, copy: Path) -> None:
    for relative in project.files:
        target = copy / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copy(project.folder / relative, target)
        except PermissionError as error:
            raise InvalidInput(f"{relative} cannot be read: {error.strerror}") from error


def _write_zip(folder: Path, target: Path) -> None:
    files = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in files:
            _add(archive, folder / name, name)


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    executable = path.stat().st_mode & stat.S_IXUSR
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.create_system = 3  # Unix: the mode below means something
    entry.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with path.open("rb") as source, archive.open(entry, "w") as sink:
        shutil.copyfileobj(source, sink, 1024 * 1024)
