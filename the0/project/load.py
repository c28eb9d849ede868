"""A bot project in a folder, checked as a whole before anything is built or sent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from the0.errors import InvalidInput, PluginError
from the0.plugin.interfaces import PluginArgs, Runtime
from the0.plugin.registry import Registry
from the0.project.config import CONFIG_FILE, BotConfig, read_config
from the0.project.ignore import IGNORE_FILE, IgnoreRules, read_rules


@dataclass(frozen=True)
class Project:
    """A project without faults. `runtime` is ready to vendor its dependencies."""

    folder: Path
    config: BotConfig
    runtime: Runtime
    ignore: IgnoreRules


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
    config = read_config(lambda name: _read(folder, name), built=False)
    runtime = _runtime(config.runtime, runtimes, args)
    ignore = read_rules(folder)
    faults = [*runtime.check_project(folder, config.entrypoints), *_left_out(config, ignore)]
    if faults:
        raise InvalidInput(f"the project in {folder} is not right", faults)
    return Project(folder, config, runtime, ignore)


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


def _read(folder: Path, name: str) -> bytes | None:
    path = folder / name
    return path.read_bytes() if path.is_file() else None
