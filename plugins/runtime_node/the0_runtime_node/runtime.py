"""The runtime ``nodejs20``: image, processes, checks of a project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from the0.errors import InvalidInput
from the0.plugin.interfaces import ImageSpec, ProcessPlan, Progress, Runtime
from the0_runtime_node import vendor
from the0_runtime_node.manifest import MANIFEST, SDK_FOLDER, SDK_NAMES, Manifest
from the0_runtime_node.tools import FLAGS, NODE, syntax_fault

HOME = "/opt/the0/node"
WRAPPER = f"{HOME}/wrapper.js"
SDK = f"{HOME}/sdk"
PACKAGES = ("python3", "ca-certificates", "tzdata", "libgomp1", "libstdc++6")
"""As the Python runtime's, so that both images stand on one base."""

SUFFIXES = (".js", ".mjs", ".cjs")


class NodeRuntime(Runtime):
    """Bots with an exported ``main(botId, config)``, called by a wrapper program of ours."""

    name = "nodejs20"
    aliases = ("nodejs",)

    def image(self) -> ImageSpec:
        files = {
            "/usr/local/bin/node": NODE,
            WRAPPER: Path(__file__).with_name("wrapper.js"),
            SDK: SDK_FOLDER,
        }
        # Node.js looks for packages in every folder above /bot, so also here. Both names lead to
        # one folder, so that a bot which uses both has one state.
        links = {f"/node_modules/{name}": SDK for name in SDK_NAMES}
        return ImageSpec(packages=PACKAGES, files=files, links=links)

    def processes(self, entrypoints: Mapping[str, str]) -> ProcessPlan:
        for role, file in entrypoints.items():
            if fault := _name_fault(file):
                raise InvalidInput(f"entrypoint {role}: {fault}")
        query = entrypoints.get("query")
        return ProcessPlan(
            bot=("node", *FLAGS, WRAPPER),
            query=("node", *FLAGS, f"/bot/{query}") if query else None,
        )

    def check_project(self, project: Path, entrypoints: Mapping[str, str]) -> Sequence[str]:
        try:
            manifest = Manifest.read(project)
        except InvalidInput as error:
            return [error.message]
        faults = []
        for file in entrypoints.values():
            found = _entrypoint_faults(project / file, built=manifest.builds)
            faults += [f"{file}: {text}" for text in found]
        return faults

    def vendor(self, project: Path, progress: Progress) -> None:
        vendor.install(project, progress)


def _name_fault(file: str) -> str | None:
    path = PurePosixPath(file)
    if not file or path.is_absolute() or ".." in path.parts:
        return f"{file!r} is not a path inside the bot's folder"
    if path.suffix in (".ts", ".mts", ".cts"):
        return f"{file!r} is TypeScript: name the file that the build script makes of it"
    if path.suffix not in SUFFIXES:
        return f"{file!r} is not a JavaScript file (its name must end with {' or '.join(SUFFIXES)})"
    return None


def _entrypoint_faults(path: Path, built: bool) -> Iterator[str]:
    """`built`: the project's build script makes it, so that what lies there now does not count."""
    if fault := _name_fault(path.name):
        yield fault
    elif built:
        return
    elif not path.is_file():
        yield f"there is no such file, and {MANIFEST} has no build script that would make it"
    elif fault := syntax_fault(path):
        yield fault
