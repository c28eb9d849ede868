"""A minimal image with the agent in it, and how its containers are run."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from typing import Any

import docker

from the0.agent.build import build_agent

BASE = "the0-agenttest/base"
IMAGE = "the0-agenttest/agent"
DOCKERFILE = f"""\
FROM {BASE}
COPY runtime /app/runtime
RUN chmod 755 /app/runtime && mkdir -p /bot /state /var/the0 /query \
 && chown 1000:1000 /bot /state /var/the0 /query
"""


def agent_image(engine: docker.DockerClient) -> str:
    """The name of an image: Debian with its own Python, and the agent. The Debian is kept."""
    if not engine.images.list(BASE):
        with tempfile.TemporaryDirectory() as folder:
            base = f"{folder}/base.tar"
            options = ["--variant=minbase", "--include=python3", "bookworm", base]
            subprocess.run(["mmdebstrap", "--quiet", *options], check=True)
            subprocess.run(["docker", "import", base, BASE], check=True, capture_output=True)
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, content in (("Dockerfile", DOCKERFILE.encode()), ("runtime", build_agent())):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    context.seek(0)
    before = {image.id for image in engine.images.list(IMAGE)}
    engine.images.build(
        fileobj=context,
        custom_context=True,
        tag=IMAGE,
        rm=True,
        forcerm=True,
        network_mode="none",
    )
    for stale in before - {engine.images.get(IMAGE).id}:
        engine.images.remove(stale, force=True)
    return IMAGE


def run_options() -> dict[str, Any]:
    """Options of `containers.run` by which every bot's container is closed in."""
    return {
        "detach": True,
        "user": "1000:1000",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "network_mode": "none",
        "tmpfs": {
            "/bot": "uid=1000,gid=1000,size=64m,exec",
            "/tmp": "uid=1000,gid=1000,size=16m",
            "/query": "uid=1000,gid=1000,size=8m",
        },
        "mem_limit": "128m",
        "memswap_limit": "128m",
        "pids_limit": 64,
    }
