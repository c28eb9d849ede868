"""Settings of the Docker executor."""

from __future__ import annotations

import re
from typing import Any

from the0.settings import seconds, section, setting


def log_size(value: Any) -> str:
    """A size in Docker's own words: a number with `k`, `m` or `g`."""
    if not re.fullmatch(r"[1-9][0-9]*[kmg]", str(value), re.ASCII):
        raise ValueError("a number with k, m or g, like '10m'")
    return str(value)


@section("docker")
class DockerSettings:
    host: str = setting(
        "",
        "Docker engine, like unix:///var/run/docker.sock; empty means DOCKER_HOST, else the "
        "default socket. The firewall needs an engine on this machine.",
    )
    runtime_image: str = setting(
        "",
        "One image for all runtimes in place of ours; refused when it lacks the0's agent.",
        env=("RUNTIME_IMAGE",),
    )
    log_max_size: str = setting(
        "10m", "Size of one file of Docker's own log of a container.", parse=log_size
    )
    log_max_files: int = setting(
        2, "Files of Docker's own log of a container.", minimum=1, maximum=20
    )
    bots_per_network: int = setting(
        1000, "Containers on one Docker network (a bridge ends at 1,023).", minimum=1, maximum=1000
    )
    base: str = setting(
        "auto",
        "Where the images' Debian comes from: a registry, mmdebstrap, or whichever can be had.",
        choices=("auto", "registry", "mmdebstrap"),
    )
    base_image: str = setting(
        "debian:bookworm-slim", "The registry's image to build on; a Debian bookworm."
    )
    debian_mirror: str = setting(
        "", "Debian mirror for mmdebstrap; empty means deb.debian.org with its security updates."
    )
    registry_timeout_sec: float = setting(
        15.0,
        "How long the registry may take to answer before mmdebstrap is used.",
        parse=seconds,
        minimum=1,
        maximum=600,
    )
    build_timeout_sec: float = setting(
        900.0,
        "Longest silence of one step of an image build.",
        parse=seconds,
        minimum=30,
        maximum=7200,
    )
    images_kept: int = setting(
        2, "Images of a runtime that stay although no container uses them.", minimum=1, maximum=100
    )
