"""Installs a project's packages by npm, and runs its build script, for the image's Node.js."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from the0.errors import InvalidInput, Unavailable
from the0.plugin.interfaces import Progress
from the0_runtime_node.manifest import (
    MANIFEST,
    MODULES,
    PUBLIC_SDK,
    SDK_FOLDER,
    SDK_NAMES,
    Manifest,
    has_lock,
    without_package,
)
from the0_runtime_node.tools import Npm, npm_in

SHOWN_LINES = 15
OFFLINE = re.compile(r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH)\b")


def install(project: Path, progress: Progress) -> None:
    """Fill ``node_modules`` with what the bot needs when it runs, and build what is built.

    A project without packages and without a build script is left as it is. Raises InvalidInput
    with npm's own words, and Unavailable when no registry answered.
    """
    manifest = Manifest.read(project)
    if manifest.packages or manifest.builds:
        _install_and_build(project, manifest, progress)
        _tidy(project / MODULES)
    # It is for npm, and may hold the key of a registry: nothing for an archive.
    (project / ".npmrc").unlink(missing_ok=True)


def _install_and_build(project: Path, manifest: Manifest, progress: Progress) -> None:
    with npm_in(project) as npm, ExitStack() as stack:
        if not _registry_has_sdk(npm, manifest):
            progress.step(f"{PUBLIC_SDK}: no registry gives it; the image's own SDK stands in")
            stack.enter_context(without_package(project, PUBLIC_SDK))
            manifest = Manifest.read(project)
        if manifest.packages:
            _install_packages(npm, manifest, progress)
        if manifest.builds:
            _build(npm, progress)
            _prune(npm, manifest, progress)


def _registry_has_sdk(npm: Npm, manifest: Manifest) -> bool:
    """False when the project asks for the public SDK and cannot have it: its registry answers
    only to those who have an account there."""
    wanted = manifest.packages.get(PUBLIC_SDK)
    if wanted is None:
        return True
    once = ("--fetch-retries=0", "--fetch-timeout=15000")
    code, output = npm.run("view", f"{PUBLIC_SDK}@{wanted}", "version", *once)
    return code == 0 and bool(output.strip())


def _install_packages(npm: Npm, manifest: Manifest, progress: Progress) -> None:
    locked = has_lock(npm.project)
    command = ["ci"] if locked else ["install", "--no-package-lock"]
    # A link to a folder would lead nowhere in the archive.
    command += ["--install-links", "--include=dev" if manifest.builds else "--omit=dev"]
    progress.step(f"Installing {MANIFEST} into {MODULES}/ (npm {command[0]})")
    code, output = npm.run(*command, progress=progress)
    if code != 0:
        raise _fault(f"{MANIFEST} cannot be installed", output)


def _build(npm: Npm, progress: Progress) -> None:
    progress.step("Building (npm run build)")
    with _own_sdk(npm.project / MODULES):
        code, output = npm.run("run", "build", progress=progress)
    if code != 0:
        words = "\n".join(output.strip().splitlines()[-SHOWN_LINES:])
        raise InvalidInput(f"`npm run build` failed:\n{words}")


def _prune(npm: Npm, manifest: Manifest, progress: Progress) -> None:
    """Take out again what only the build needed."""
    if not manifest.run_time:
        shutil.rmtree(npm.project / MODULES, ignore_errors=True)
        return
    command = ["prune", "--omit=dev", "--install-links"]
    code, output = npm.run(*command, "--no-package-lock", progress=progress)
    if code != 0:
        raise _fault(f"{MANIFEST} cannot be pruned", output)


@contextmanager
def _own_sdk(modules: Path) -> Iterator[None]:
    """The image's SDK where the build looks for it, under each name that nothing else has."""
    missing = [modules / name for name in SDK_NAMES if not (modules / name).exists()]
    for path in missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(SDK_FOLDER)
    try:
        yield
    finally:
        for path in missing:
            path.unlink(missing_ok=True)
            if path.parent != modules and not any(path.parent.iterdir()):
                path.parent.rmdir()


def _tidy(modules: Path) -> None:
    """Remove what is of this machine only: links to programs, caches, npm's own notes."""
    for folder in [*modules.rglob(".bin"), modules / ".cache"]:
        shutil.rmtree(folder, ignore_errors=True)
    (modules / ".package-lock.json").unlink(missing_ok=True)


def _fault(what: str, output: str) -> InvalidInput | Unavailable:
    """npm names what is wrong first, and goes on with a stack or with its own manual."""
    lines = output.splitlines()
    first = next((at for at, line in enumerate(lines) if line.startswith("npm error")), 0)
    words = "\n".join(lines[first : first + SHOWN_LINES])
    if OFFLINE.search(output):
        return Unavailable(f"no npm registry answered:\n{words}")
    return InvalidInput(f"{what}:\n{words}")
