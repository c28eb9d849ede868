"""A bot project in a folder, checked as a whole before anything is built or sent."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from the0.errors import InvalidInput, PluginError
from the0.plugin.interfaces import PluginArgs, Runtime
from the0.plugin.registry import Registry
from the0.project.config import CONFIG_FILE, BotConfig, examine_config
from the0.project.ignore import IGNORE_FILE, IgnoreRules, read_rules


@dataclass(frozen=True)
class Project:
    """A project without faults. `runtime` is ready to vendor its dependencies; `files` are the
    paths, below `folder`, of what is packed."""

    folder: Path
    config: BotConfig
    runtime: Runtime
    files: Sequence[str]


def load_project(
    folder: Path, runtimes: Registry[Runtime], args: PluginArgs | None = None
) -> Project:
    """Read and check the project in `folder`.

    `args` is what its runtime is constructed with; runtimes need nothing of it for projects unless
    they have settings. Raises InvalidInput with every fault by file and key, PluginError where the
    runtime is not installed.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder; a bot project is one with a {CONFIG_FILE}")
    # What its build makes, a runtime knows: it says which entrypoints are missing.
    config, faults = examine_config(lambda name: _read(folder, name), built=False)
    ignore = read_rules(folder)
    files, strange = _files(folder, ignore)
    faults += [*_left_out(config, ignore), *strange]
    try:
        runtime = _runtime(config.runtime, runtimes, args)
    except PluginError as error:
        if not faults:
            raise
        raise InvalidInput(_not_right(folder), [*faults, str(error)]) from error
    if faults := [*runtime.check_project(folder, config.entrypoints), *faults]:
        raise InvalidInput(_not_right(folder), faults)
    return Project(folder, config, runtime, files)


def _not_right(folder: Path) -> str:
    return f"the project in {folder} is not right"


def _runtime(name: str, runtimes: Registry[Runtime], args: PluginArgs | None) -> Runtime:
    try:
        kind = runtimes.get(name)
    except PluginError as error:
        raise PluginError(f"{CONFIG_FILE}: runtime: {error}") from error
    return kind(args or PluginArgs(instance="", installation="", state_dir=Path()))


def _left_out(config: BotConfig, ignore: IgnoreRules) -> list[str]:
    return [
        f"{IGNORE_FILE}: leaves out {file}, which {CONFIG_FILE} names"
        for file in config.files
        if ignore.leaves_out(file)
    ]


def _files(folder: Path, ignore: IgnoreRules) -> tuple[list[str], list[str]]:
    """The files to pack, and a fault for each that is none of this project."""
    files = []
    faults: list[str] = []
    for relative in _wanted(folder, ignore, faults):
        if fault := _file_fault(folder, relative):
            faults.append(fault)
        else:
            files.append(relative)
    return files, faults


def _file_fault(folder: Path, relative: str) -> str | None:
    try:
        relative.encode()
    except UnicodeEncodeError:
        return f"{relative!r}: its name is not UTF-8, as archives need it; rename it"
    try:
        source = (folder / relative).resolve()
        ours = source.is_relative_to(folder.resolve()) and source.is_file()
    except (OSError, RuntimeError):  # links in a circle
        ours = False
    return None if ours else f"{relative}: not a file of this project; take it out or copy it here"


def _wanted(folder: Path, ignore: IgnoreRules, faults: list[str]) -> Iterator[str]:
    """Paths of everything but folders that is not left out; links to folders count as files. A
    folder that cannot be read is one of the `faults`."""

    def note(error: OSError) -> None:
        faults.append(f"{_below(folder, Path(error.filename))}: cannot be read: {error.strerror}")

    for root, folders, files in os.walk(folder, onerror=note):
        base = Path(root)
        links = [name for name in folders if (base / name).is_symlink()]
        folders[:] = sorted(
            name
            for name in folders
            if name not in links and not ignore.leaves_out(f"{_below(folder, base / name)}/")
        )
        for name in sorted([*files, *links]):
            relative = _below(folder, base / name)
            if not ignore.leaves_out(relative):
                yield relative


def _below(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _read(folder: Path, name: str) -> bytes | None:
    path = folder / name
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InvalidInput(f"{name!r} cannot be the name of a file: {error}") from error
