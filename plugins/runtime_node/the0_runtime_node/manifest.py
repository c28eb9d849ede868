"""package.json and its lock file, as far as deploying needs them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from the0.errors import InvalidInput

MANIFEST = "package.json"
LOCKS = ("package-lock.json", "npm-shrinkwrap.json")
MODULES = "node_modules"

SDK_FOLDER = Path(__file__).with_name("sdk")
PUBLIC_SDK = "@alexanderwanyoike/the0-node"
SDK_NAMES = ("the0-sdk", PUBLIC_SDK)
"""Our own package's name, and that of the public one, whose API it has."""

_RUN_TIME = ("dependencies", "optionalDependencies")
_KINDS = (*_RUN_TIME, "devDependencies", "peerDependencies")


@dataclass(frozen=True)
class Manifest:
    """What a project's package.json says; empty where there is none."""

    content: Mapping[str, Any]

    @classmethod
    def read(cls, project: Path) -> Manifest:
        """Raises InvalidInput for a file that is not a JSON object."""
        path = project / MANIFEST
        return cls(_read_object(path) if path.is_file() else {})

    @property
    def builds(self) -> bool:
        """Whether the project has a build script of its own."""
        return bool(_mapping(self.content, "scripts").get("build"))

    @property
    def run_time(self) -> Mapping[str, str]:
        """Packages that the bot needs when it runs, with the versions asked for."""
        return {
            name: str(wanted)
            for kind in _RUN_TIME
            for name, wanted in _mapping(self.content, kind).items()
        }

    @property
    def packages(self) -> Mapping[str, str]:
        """All packages that are named, with the versions asked for."""
        return {
            name: str(wanted)
            for kind in _KINDS
            for name, wanted in _mapping(self.content, kind).items()
        }


def has_lock(project: Path) -> bool:
    """Whether the project says exactly what is to be installed."""
    return any((project / name).is_file() for name in LOCKS)


@contextmanager
def without_package(project: Path, package: str) -> Iterator[None]:
    """The project's files as they were if they did not ask for `package`; put back at the end."""
    paths = [project / name for name in (MANIFEST, *LOCKS) if (project / name).is_file()]
    originals = {path: path.read_bytes() for path in paths}
    for path in paths:
        path.write_text(json.dumps(_without(_read_object(path), package)))
    try:
        yield
    finally:
        for path, content in originals.items():
            path.write_bytes(content)


def _without(content: dict[str, Any], package: str) -> dict[str, Any]:
    """A manifest or lock file (of any version) that does not name `package`."""
    for kind in _KINDS:
        _mapping(content, kind).pop(package, None)
    packages = _mapping(content, "packages")
    packages.pop(f"{MODULES}/{package}", None)
    if "" in packages:
        packages[""] = _without(dict(packages[""]), package)
    return content


def _mapping(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = content.get(key)
    return value if isinstance(value, dict) else {}


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path.name}: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise InvalidInput(f"{path.name}: must be a JSON object")
    return content
