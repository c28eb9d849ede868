"""The Debian that runtime images stand on, with their packages: from a registry, or made here.

One base image serves all runtimes with the same packages; its tag is a digest of how it is made.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from docker import APIClient

from the0.builtin.docker_builder import Build, has_local
from the0.builtin.docker_context import write_context
from the0.builtin.docker_errors import translated
from the0.builtin.docker_settings import DockerSettings
from the0.errors import InvalidInput, NotFound, The0Error, Unavailable
from the0.plugin.interfaces import Progress

REPOSITORY = "the0/base"
LABEL = "the0.base"
SUITE = "bookworm"
AGENT_PACKAGES: Sequence[str] = ("ca-certificates", "python3", "tzdata")
"""What the agent and every bot need, whatever the language."""

_RECIPE = 1  # raised when what is below makes another image of the same packages
_EXCLUDED = ("doc", "info", "locale", "man", "lintian", "bug")
_USELESS = (
    *(f"/usr/share/{folder}/*" for folder in _EXCLUDED),
    "/usr/lib/python3*/test",
    "/usr/lib/python3*/idlelib",
    "/usr/lib/python3*/lib2to3",
    "/usr/lib/python3*/pydoc_data",
    "/usr/lib/python3*/ensurepip",
    "/usr/lib/python3*/turtledemo",
    "/usr/lib/python3*/unittest/test",
    "/var/cache/apt/*",
    "/var/cache/debconf/*-old",
    "/var/lib/apt/lists/*",
    "/var/lib/dpkg/*-old",
    "/var/log/*",
)
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_MERGED_USR = "/usr/share/mmdebstrap/hooks/merged-usr"


def finish_commands(root: str = "") -> str:
    """Shell text that takes away what no bot needs below `root`, and adds the user `bot`."""
    removed = " ".join(f"{root}{path}" for path in _USELESS)
    return (
        f"rm -rf {removed} && "
        f"echo bot:x:1000:1000::/tmp:/usr/sbin/nologin >> {root}/etc/passwd && "
        f"echo bot:x:1000: >> {root}/etc/group"
    )


def package_list(packages: Sequence[str]) -> list[str]:
    """The spec's packages and the agent's, sorted, each once."""
    return sorted({*packages, *AGENT_PACKAGES})


def base_digest(packages: Sequence[str], source: str) -> str:
    """Digest (12 hex digits) of a base made of `packages` from `source`."""
    recipe = [_RECIPE, source, package_list(packages), finish_commands()]
    return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]


def mmdebstrap_command(packages: Sequence[str], target: Path, mirror: str) -> list[str]:
    """How mmdebstrap makes the base as a tar. Without usr-is-merged the essential packages pull
    in all of Perl, half of the image."""
    options = [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in _EXCLUDED]
    return [
        "mmdebstrap",
        "--variant=essential",
        f"--hook-dir={_MERGED_USR}",
        "--include=" + ",".join(["usr-is-merged", *package_list(packages)]),
        *options,
        "--customize-hook=" + finish_commands('"$1"'),
        SUITE,
        str(target),
        *([mirror] if mirror else []),
    ]


def registry_dockerfile(packages: Sequence[str], image: str, digest: str) -> str:
    """How the base is made from a registry's Debian."""
    names = " ".join(package_list(packages))
    install = f"apt-get update && apt-get install -y --no-install-recommends {names}"
    return (
        f"FROM {image}\n"
        f"LABEL {LABEL}={digest}\n"
        f"RUN export DEBIAN_FRONTEND=noninteractive && {install} && {finish_commands()}\n"
    )


class BaseImages:
    """Makes base images; decides once where they come from."""

    def __init__(self, client: Callable[[float], APIClient], settings: DockerSettings) -> None:
        self._client = client
        self._settings = settings
        self._lock = threading.Lock()
        self._source: str | None = None

    def ensure(self, packages: Sequence[str], progress: Progress) -> str:
        """The tag of a base image with these packages, made unless it exists.

        Raises :class:`~the0.errors.Unavailable` when neither way works, saying why.
        """
        with self._lock:
            source = self._decide(packages, progress)
            digest = base_digest(packages, source)
            tag = f"{REPOSITORY}:{digest}"
            client = self._client(self._settings.build_timeout_sec)
            if not has_local(client, tag):
                make = self._from_registry if source == "registry" else self._by_mmdebstrap
                make(client, packages, digest, progress)
            return tag

    def _decide(self, packages: Sequence[str], progress: Progress) -> str:
        if self._settings.base != "auto":
            return self._settings.base
        if self._source is None:
            self._source = self._probe(packages, progress)
        return self._source

    def _probe(self, packages: Sequence[str], progress: Progress) -> str:
        client = self._client(self._settings.registry_timeout_sec)
        image = self._settings.base_image
        if has_local(client, image):
            return "registry"
        if has_local(client, f"{REPOSITORY}:{base_digest(packages, 'mmdebstrap')}"):
            return "mmdebstrap"
        progress.step(f"Asking the registry for {image}")
        try:
            with translated(f"find {image} in a registry"):
                client.inspect_distribution(image)  # type: ignore[no-untyped-call]
        except The0Error:
            progress.step(f"No registry has {image} for us: Debian is installed by mmdebstrap")
            return "mmdebstrap"
        return "registry"

    def _from_registry(
        self, client: APIClient, packages: Sequence[str], digest: str, progress: Progress
    ) -> None:
        progress.step(f"Building the base image on {self._settings.base_image}")
        text = registry_dockerfile(packages, self._settings.base_image, digest)
        with tempfile.TemporaryFile() as context:
            write_context(context, text)
            timeout = self._settings.build_timeout_sec
            mark = f"{LABEL}={digest}"
            Build(client, f"{REPOSITORY}:{digest}", mark, timeout).run(context, progress)

    def _by_mmdebstrap(
        self, client: APIClient, packages: Sequence[str], digest: str, progress: Progress
    ) -> None:
        _require_mmdebstrap(progress)
        progress.step(f"Making the base image by mmdebstrap ({', '.join(package_list(packages))})")
        with tempfile.TemporaryDirectory(prefix="the0-base-") as folder:
            tar = Path(folder) / "base.tar"
            command = mmdebstrap_command(packages, tar, self._settings.debian_mirror)
            _run(command, progress, self._settings.build_timeout_sec)
            progress.step(f"Importing it into Docker ({tar.stat().st_size // 1_000_000} MB)")
            with tar.open("rb") as content, translated(f"import {REPOSITORY}:{digest}"):
                client.import_image(
                    src=content,
                    repository=REPOSITORY,
                    tag=digest,
                    changes=[f"LABEL {LABEL}={digest}"],
                )
        if not has_local(client, f"{REPOSITORY}:{digest}"):
            raise Unavailable(f"Docker did not take {REPOSITORY}:{digest}; is its disk full?")


def _require_mmdebstrap(progress: Progress) -> None:
    if os.geteuid() != 0:
        raise InvalidInput(
            "No registry answers, and Debian can be installed by mmdebstrap only as root. Build "
            "the images as root, or `docker load` debian:bookworm-slim and try again."
        )
    if shutil.which("mmdebstrap") and _KEYRING.exists():
        return
    if not shutil.which("apt-get"):
        raise NotFound("mmdebstrap is not installed: install it, or `docker load` a Debian base.")
    progress.step("Installing mmdebstrap (apt-get install mmdebstrap debian-archive-keyring)")
    _run(["apt-get", "update", "-qq"], progress, 300)
    packages = ["mmdebstrap", "debian-archive-keyring"]
    _run(["apt-get", "install", "-y", "-qq", *packages], progress, 300)


def _run(command: Sequence[str], progress: Progress, timeout_sec: float) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    tail: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
    ) as process:
        timer = threading.Timer(timeout_sec, process.kill)
        timer.start()
        assert process.stderr is not None
        for line in process.stderr:
            tail = [*tail[-9:], line.rstrip()[:300]]
            if line.startswith("I: ") and line.rstrip().endswith("..."):
                progress.step("  " + line[3:].rstrip())
        timer.cancel()
    if process.returncode != 0:
        raise Unavailable(f"{command[0]} failed:\n" + "\n".join(tail))
