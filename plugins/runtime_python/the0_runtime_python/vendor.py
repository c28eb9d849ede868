"""Installs a project's requirements.txt into its vendor folder, for the image's platform."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from the0.errors import InvalidInput, Unavailable
from the0.plugin.interfaces import Progress

IMAGE_PYTHON = (3, 11)
GLIBC_MINORS = range(36, 16, -1)  # bookworm has glibc 2.36; manylinux2014 means 2.17
SHOWN = ("Collecting ", "Downloading ", "Building wheel", "Installing collected", "Successfully ")
TAIL_LINES = 12
NAMED = (
    re.compile(r"No matching distribution found for ([A-Za-z0-9._-]+)"),
    re.compile(r"Failed (?:building wheel for|to build) '?([A-Za-z0-9._-]+)"),
)
OFFLINE = re.compile(r"NewConnectionError|ConnectTimeout|Temporary failure in name resolution")


def install(project: Path, progress: Progress) -> None:
    """Rebuild ``vendor/`` from requirements.txt; without one, nothing is touched.

    Raises InvalidInput naming the package that cannot be had, with pip's own words, and
    Unavailable when no package index answered.
    """
    requirements = project / "requirements.txt"
    if not requirements.is_file():
        return
    target = project / "vendor"
    shutil.rmtree(target, ignore_errors=True)
    if not _asks_for_something(requirements):
        return
    progress.step("Installing requirements.txt into vendor/ for Python 3.11 on Linux")
    _install_or_build(requirements, target, progress)
    # Console scripts name this machine's interpreter; a bot is started by its entrypoint.
    shutil.rmtree(target / "bin", ignore_errors=True)
    _compile(target, progress)


def _compile(target: Path, progress: Progress) -> None:
    """Add bytecode: a container unpacks the code afresh at each start and would compile it anew.

    Only the image's own Python version can make it. It carries no times and no paths of this
    machine, so the archive stays the same.
    """
    if sys.version_info[:2] != IMAGE_PYTHON or not target.is_dir():
        return
    progress.step("Compiling vendor/")
    options = ["-qq", "-j0", "--invalidation-mode=unchecked-hash"]
    paths = ["-s", str(target), "-p", "/bot/vendor", str(target)]
    # A file that does not compile (a template, say) is the package's own affair.
    subprocess.run([sys.executable, "-m", "compileall", *options, *paths], check=False)


def _asks_for_something(requirements: Path) -> bool:
    lines = requirements.read_text("utf-8", "replace").splitlines()
    return any(line.strip() and not line.strip().startswith("#") for line in lines)


def _install_or_build(requirements: Path, target: Path, progress: Progress) -> None:
    code, output = _pip(_install_arguments(requirements, target), requirements.parent, progress)
    if code == 0:
        return
    if OFFLINE.search(output):
        raise Unavailable(f"no package index answered:\n{_tail(output)}")
    progress.step("Not everything has a wheel: building what is pure Python")
    with tempfile.TemporaryDirectory(prefix="the0-wheels-") as folder:
        wheels = Path(folder)
        code, output = _build_pure(requirements, wheels, progress)
        if code == 0:
            shutil.rmtree(target, ignore_errors=True)
            arguments = _install_arguments(requirements, target, wheels)
            code, output = _pip(arguments, requirements.parent, progress)
    if code != 0:
        raise _fault(output)


def _build_pure(requirements: Path, wheels: Path, progress: Progress) -> tuple[int, str]:
    arguments = ["wheel", "--wheel-dir", str(wheels), "-r", str(requirements)]
    outcome = _pip(arguments, requirements.parent, progress)
    for wheel in wheels.glob("*.whl"):
        if not wheel.name.endswith("-none-any.whl"):
            wheel.unlink()
    return outcome


def _install_arguments(requirements: Path, target: Path, wheels: Path | None = None) -> list[str]:
    platforms = [f"manylinux_2_{minor}_{platform.machine()}" for minor in GLIBC_MINORS]
    platforms.append(f"manylinux2014_{platform.machine()}")
    arguments = ["install", "--target", str(target), "--no-compile", "--only-binary=:all:"]
    arguments += ["--implementation", "cp", "--python-version", "3.11"]
    arguments += [f"--platform={name}" for name in platforms]
    arguments += ["--find-links", str(wheels)] if wheels else []
    return [*arguments, "-r", str(requirements)]


def _pip(arguments: Sequence[str], folder: Path, progress: Progress) -> tuple[int, str]:
    """Run pip with the machine's own configuration; returns exit code and all its output."""
    quiet = ["--no-input", "--disable-pip-version-check", "--no-color"]
    command = [sys.executable, "-m", "pip", *arguments, *quiet, "--progress-bar=off"]
    lines = []
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if line.strip().startswith(SHOWN):
                progress.step(line.strip())
    return process.returncode, "".join(lines)


def _fault(output: str) -> InvalidInput:
    package = next((found[1] for find in NAMED if (found := find.search(output))), None)
    if not package:
        return InvalidInput(f"requirements.txt cannot be installed:\n{_tail(output)}")
    return InvalidInput(
        f"requirements.txt: {package} has no wheel for Python 3.11 on {platform.machine()} Linux "
        f"and is not pure Python, or there is no such version; choose one that has a wheel.\n"
        f"{_tail(output)}"
    )


def _tail(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-TAIL_LINES:])
