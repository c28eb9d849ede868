"""The Docker built-in, registered like any other plugin."""

from __future__ import annotations

from the0.builtin.docker_executor import DockerExecutor
from the0.builtin.docker_settings import DockerSettings
from the0.plugin import hookimpl

__all__ = ["DockerExecutor", "DockerSettings", "the0_register_executor"]


@hookimpl
def the0_register_executor() -> type[DockerExecutor]:
    """The executor named `docker`."""
    return DockerExecutor
