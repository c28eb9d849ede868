"""Node.js bots for the0; found through the entry point group ``the0``."""

from the0.plugin import Runtime, hookimpl
from the0_runtime_node.runtime import NodeRuntime

__all__ = ["NodeRuntime"]


@hookimpl
def the0_register_runtime() -> type[Runtime]:
    return NodeRuntime
