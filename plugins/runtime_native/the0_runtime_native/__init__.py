"""Compiled bots for the0: the entrypoint is an executable in the archive."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from the0.errors import InvalidInput
from the0.plugin import Runtime, hookimpl
from the0.plugin.interfaces import ImageSpec, ProcessPlan, Progress

ELF, SCRIPT = b"\x7fELF", b"#!"
MACHINES = {"x86_64": 62, "aarch64": 183}  # e_machine, in the two bytes from offset 18


class NativeRuntime(Runtime):
    """Runs the entrypoint itself; the platform gives it its execute bit."""

    def image(self) -> ImageSpec:
        # What compilers link to by default; the rest belongs into the executable.
        return ImageSpec(
            packages=("python3", "ca-certificates", "tzdata", "libgomp1", "libstdc++6")
        )

    def processes(self, entrypoints: Mapping[str, str]) -> ProcessPlan:
        commands = {role: (_command(file),) for role, file in entrypoints.items()}
        return ProcessPlan(
            bot=commands["bot"],
            query=commands.get("query"),
            executables=tuple(entrypoints.values()),
        )

    def check_project(self, project: Path, entrypoints: Mapping[str, str]) -> Sequence[str]:
        faults = {file: _fault(project / file) for file in entrypoints.values()}
        return [f"{file}: {fault}" for file, fault in faults.items() if fault]

    def vendor(self, project: Path, progress: Progress) -> None:
        """What an executable needs is linked into it, or lies beside it."""


class RustRuntime(NativeRuntime):
    name = "rust-stable"


class GccRuntime(NativeRuntime):
    name = "gcc13"
    aliases = ("cpp-gcc13",)


class HaskellRuntime(NativeRuntime):
    name = "ghc96"


def _command(file: str) -> str:
    path = PurePosixPath(file)
    if not path.parts or path.is_absolute() or ".." in path.parts:
        raise InvalidInput(f"entrypoint {file!r} is not a path inside the bot's folder")
    return f"/bot/{path}"


def _fault(path: Path) -> str | None:
    if not path.is_file():
        return "there is no such file: build it, and name what the compiler wrote"
    with path.open("rb") as file:
        head = file.read(20)
    if head.startswith(SCRIPT):
        return None
    if not head.startswith(ELF):
        return "is not an executable of Linux"
    if int.from_bytes(head[18:20], "little") != MACHINES.get(platform.machine()):
        return f"is built for another machine than this one ({platform.machine()})"
    return None


@hookimpl
def the0_register_runtime() -> Sequence[type[Runtime]]:
    return [RustRuntime, GccRuntime, HaskellRuntime]
