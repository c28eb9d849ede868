"""Images without an engine: a runtime's files in a folder, to be laid over this machine's own."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from the0.agent.build import build_agent
from the0.builtin.docker_context import write_rootfs
from the0.builtin.executor_process_record import write_json
from the0.errors import NotFound
from the0.plugin.interfaces import ImageSpec, Progress

PYTHON = "/usr/bin/python3"
"""What runs the agent: its first line says so."""

LAYING_OUT_SEC = 3600.0
"""No build takes longer."""


class Images:
    """The images below `root`: `images/<tag>.json` names a folder in `trees/`."""

    def __init__(self, root: Path) -> None:
        self._tags = root / "images"
        self._trees = root / "trees"

    def has(self, tag: str, digest: str) -> bool:
        found = self._find(tag)
        whole = found is not None and (self._trees / found["tree"]).is_dir()
        return whole and found["digest"] == digest

    def identity(self, tag: str) -> str:
        """Raises NotFound."""
        return f"process:{self._known(tag)['digest']}"

    def tree(self, tag: str) -> Path:
        """The folder of the image's files. Raises NotFound."""
        return self._trees / str(self._known(tag)["tree"])

    def build(self, tag: str, digest: str, spec: ImageSpec, progress: Progress) -> None:
        """Lay out the files; say which Debian packages this machine lacks for them."""
        progress.step(f"Laying out the files of {tag}")
        self._tags.mkdir(parents=True, exist_ok=True)
        name = secrets.token_hex(8)
        tree = self._trees / name
        tree.mkdir(parents=True)
        _lay_out(tree, spec)
        write_json(self._tags / f"{_file_name(tag)}.json", {"digest": digest, "tree": name})
        missing = missing_packages(spec.packages)
        if missing:
            progress.step(
                f"This machine lacks {', '.join(missing)}: bots may need them "
                f"(apt-get install {' '.join(missing)})"
            )

    def remove_old(self, tag: str, used: Collection[str]) -> None:
        """Forget the other images of `tag`'s runtime, and remove all trees that belong to no image
        and are not `used`, except recent ones: another process may be laying them out."""
        mark = _file_name(tag.rpartition(":")[0] + ":")
        for path in self._tags.glob("*.json"):
            if path.name.startswith(mark) and path.stem != _file_name(tag):
                path.unlink()
        kept = {json.loads(path.read_text())["tree"] for path in self._tags.glob("*.json")}
        for tree in self._trees.iterdir():
            recent = time.time() - tree.stat().st_ctime < LAYING_OUT_SEC
            if tree.name not in kept and str(tree) not in used and not recent:
                shutil.rmtree(tree)

    def _known(self, tag: str) -> Any:
        found = self._find(tag)
        if found is None:
            raise NotFound(f"There is no image {tag}; `the0 images build` makes it.")
        return found

    def _find(self, tag: str) -> Any:
        try:
            return json.loads((self._tags / f"{_file_name(tag)}.json").read_text())
        except FileNotFoundError:
            return None


def missing_packages(packages: Sequence[str]) -> list[str]:
    """Those that dpkg does not know as installed; none on a machine without dpkg."""
    return list(_missing(packages)) if shutil.which("dpkg-query") else []


def _missing(packages: Sequence[str]) -> Iterator[str]:
    for package in packages:
        command = ["dpkg-query", "-W", "-f", "${db:Status-Status}", package]
        asked = subprocess.run(command, check=False, capture_output=True, text=True)
        if asked.stdout != "installed":
            yield package


def _file_name(tag: str) -> str:
    return quote(tag, safe="")


def _lay_out(tree: Path, spec: ImageSpec) -> None:
    # Whatever Python this machine has runs the agent, so its sources are what is sure to work.
    agent = build_agent(compiled=False)
    with tempfile.TemporaryFile() as archive:
        write_rootfs(archive, spec, agent)
        with tarfile.open(fileobj=archive) as tar:
            # Our own, so taken as it is. Debian's Python 3.11 has no argument `filter`.
            tar.extraction_filter = lambda member, _: member
            tar.extractall(tree)  # noqa: S202
    if spec.compile_python:
        below = [str(tree / path.lstrip("/")) for path in spec.compile_python]
        command = [PYTHON, "-I", "-m", "compileall", "-q", "-s", str(tree), "-p", "/"]
        mode = ["--invalidation-mode", "unchecked-hash"]
        subprocess.run([*command, *mode, *below], check=False, capture_output=True)
