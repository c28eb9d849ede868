"""This machine: disk, ports, the state directory, plugins."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from the0.config import Settings
from the0.doctor.check import Check, fail, ok, warn
from the0.plugin.manager import PluginManager

MIB = 1024 * 1024
LOW_FACTOR = 4
HEALTH_TIMEOUT_SEC = 3.0


def check_disk(settings: Settings) -> Check:
    """Free space where the state directory lies, or will lie."""
    place = _place(settings.state_dir.root)
    free_mb = shutil.disk_usage(place).free // MIB
    return disk(place, free_mb, settings.runner.min_free_disk_mb)


def _place(root: Path) -> Path:
    """`root`, or the nearest folder above it that is there as far as this user can see."""
    return next(path for path in (root, *root.parents) if os.access(path, os.F_OK))


def disk(place: Path, free_mb: int, needed_mb: int) -> Check:
    fix = "Free some, or move state_dir; `docker system df` shows what Docker holds."
    if free_mb < needed_mb:
        message = f"{free_mb} MiB free at {place}; below {needed_mb} MiB no bot is started."
        return fail("disk", message, fix)
    if free_mb < LOW_FACTOR * needed_mb:
        return warn("disk", f"Only {free_mb} MiB free at {place}.", fix)
    return ok("disk", f"{free_mb} MiB free at {place}.")


def check_state_dir(settings: Settings) -> Check:
    root = settings.state_dir.root
    place = _place(root)
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        fix = "Run as its owner, or set state_dir to a folder of this user's."
        return fail("state directory", f"This user may not write to {place}.", fix)
    if place != root:
        return ok("state directory", f"{root} will be made at the first start.")
    return ok("state directory", f"{root} is writable.")


def check_port(settings: Settings) -> Check:
    host, port = settings.api.host, settings.api.port
    where = f"{host}:{port}"
    if not _listens(host, port):
        return warn(
            "port", f"No host serves {where}.", "Start one: the0 local start, or the0-host."
        )
    if not _is_ours(host, port):
        fix = "End that program, or set api.port to another."
        return fail("port", f"Another program listens on {where}.", fix)
    return ok("port", f"A host of ours serves {where}.")


def check_plugins(plugins: PluginManager) -> Iterator[Check]:
    broken = [plugin for plugin in plugins.plugins() if plugin.status == "broken"]
    for plugin in broken:
        message = f"{plugin.name} of {plugin.distribution}: {plugin.fault}"
        yield fail("plugin", message, "Reinstall it, upgrade it, or block it (plugins.block).")
    if not plugins.runtimes.names():
        fix = "Install one: pip install the0-runtime-python"
        yield fail("plugins", "No language runtime is installed.", fix)
    elif not broken:
        yield ok("plugins", f"Runtimes: {', '.join(plugins.runtimes.names())}.")


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=HEALTH_TIMEOUT_SEC).close()
    except OSError:
        return False
    return True


def _is_ours(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=HEALTH_TIMEOUT_SEC)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return answer.status == 200 and b'"status"' in answer.read(1000)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
