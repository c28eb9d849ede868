"""The runtime ``python3.11``: image, processes, checks of a project."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import the0
from the0.errors import InvalidInput
from the0.plugin.interfaces import ImageSpec, ProcessPlan, Progress, Runtime
from the0_runtime_python import vendor

WRAPPER = "/opt/the0/python/wrapper.py"
SDK = "/opt/the0/sdk"
PACKAGES = ("python3", "ca-certificates", "tzdata", "libgomp1", "libstdc++6")


class PythonRuntime(Runtime):
    """Bots with ``main(bot_id, config)``, called by a wrapper program of ours."""

    name = "python3.11"
    aliases = ("python3", "python")

    def image(self) -> ImageSpec:
        files = {WRAPPER: Path(__file__).with_name("wrapper.py"), **_sdk_files()}
        return ImageSpec(
            packages=PACKAGES, files=files, compile_python=(str(Path(WRAPPER).parent), SDK)
        )

    def processes(self, entrypoints: Mapping[str, str]) -> ProcessPlan:
        for role, file in entrypoints.items():
            if fault := _name_fault(file):
                raise InvalidInput(f"entrypoint {role}: {fault}")
        query = entrypoints.get("query")
        # -P: the wrapper's own folder stays off the bot's import path.
        return ProcessPlan(
            bot=("python3", "-P", WRAPPER),
            query=("python3", f"/bot/{query}") if query else None,
            env={"PYTHONPATH": f"/bot/vendor:/bot:{SDK}"},
        )

    def check_project(self, project: Path, entrypoints: Mapping[str, str]) -> Sequence[str]:
        faults = []
        for role, file in entrypoints.items():
            faults += [f"{file}: {text}" for text in _entrypoint_faults(project / file, role)]
        return faults

    def vendor(self, project: Path, progress: Progress) -> None:
        vendor.install(project, progress)


def _sdk_files() -> dict[str, Path]:
    """The platform's own SDK, file by file: the platform beside it stays on the host."""
    package = Path(the0.__file__).parent
    names = ["__init__.py", "state.py", "query.py"]
    names += [f"sdk/{path.name}" for path in sorted((package / "sdk").glob("*.py"))]
    return {f"{SDK}/the0/{name}": package / name for name in names}


def _name_fault(file: str) -> str | None:
    parts = Path(file).parts
    if not file or file.startswith("/") or ".." in parts:
        return f"{file!r} is not a path inside the bot's folder"
    if not file.endswith(".py"):
        return f"{file!r} is not a Python file (its name must end with .py)"
    return None


def _entrypoint_faults(path: Path, role: str) -> Iterator[str]:
    if fault := _name_fault(path.name):
        yield fault
        return
    if not path.is_file():
        yield "there is no such file"
        return
    try:
        tree = ast.parse(path.read_bytes(), path.name, feature_version=vendor.IMAGE_PYTHON)
    except (SyntaxError, ValueError) as error:
        line = f"line {error.lineno}: " if isinstance(error, SyntaxError) else ""
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        yield f"{line}{text}"
        return
    if role == "bot" and not any(_may_name_main(node) for node in ast.walk(tree)):
        yield "has no function main(bot_id, config), which the platform calls"


def _may_name_main(node: ast.AST) -> bool:
    """Whether `node` gives the name `main` a meaning, or might (a star import)."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name == "main"
    if isinstance(node, ast.alias):
        return (node.asname or node.name) in ("main", "*")
    return isinstance(node, ast.Name) and node.id == "main" and isinstance(node.ctx, ast.Store)
