"""The container engine: does it answer, what can it not do, are the images there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence

from the0.core.images import image_digest, image_tag
from the0.doctor.check import Check, fail, ok, warn
from the0.errors import The0Error
from the0.plugin.interfaces import EngineInfo, Executor, Runtime

START_ENGINE = (
    "Start it (systemctl start docker), or install Docker Engine and see to it that this user "
    "may use it: `docker info` must answer."
)
LIVE_RESTORE = (
    'Set "live-restore": true in /etc/docker/daemon.json and reload Docker, so that bots outlive '
    "a restart of the engine."
)


def check_engine(executor: Executor, runtimes: Sequence[Runtime]) -> Iterator[Check]:
    """All that depends on the engine; only its absence when it does not answer."""
    try:
        info = executor.info()
    except The0Error as error:
        yield fail("engine", error.message, START_ENGINE)
        return
    yield ok("engine", f"Version {info.version} answers.")
    yield from limitations(info)
    yield from _foreign(executor)
    for runtime in runtimes:
        yield _image(executor, runtime)


def limitations(info: EngineInfo) -> Iterator[Check]:
    for warning in info.warnings:
        yield warn(
            "engine limits", warning, "Use a rootful engine on Linux with all control groups."
        )
    if info.keeps_containers:
        yield ok("live-restore", "Bots outlive a restart of the engine.")
    else:
        message = "A restart of the engine ends all bots; each is then started once again."
        yield warn("live-restore", message, LIVE_RESTORE)


def check_firewall() -> Check:
    """Whether the host can shut bots off from private addresses and from this machine."""
    return firewall(os.geteuid() == 0, shutil.which("iptables") is not None)


def firewall(is_root: bool, has_iptables: bool) -> Check:
    open_to = "bots can reach private addresses and services of this machine"
    if not has_iptables:
        return warn("firewall", f"There is no iptables: {open_to}.", "Install iptables.")
    if not is_root:
        return warn("firewall", f"Not root: {open_to}.", "Run the host as root.")
    return ok("firewall", "iptables is there, and this user may set rules.")


def _foreign(executor: Executor) -> Iterator[Check]:
    names = executor.foreign()
    if names:
        yield fail(
            "predecessor",
            f"Containers of the predecessor are here: {', '.join(names[:5])}"
            + (f" and {len(names) - 5} more." if len(names) > 5 else "."),
            "Stop it first, so that it stores its bots' state: docs/operations.md, cut-over.",
        )


def _image(executor: Executor, runtime: Runtime) -> Check:
    name = f"image {runtime.name}"
    try:
        tag = image_tag(runtime)
        if executor.has_image(tag, image_digest(runtime)):
            return ok(name, f"{tag} is there.")
    except The0Error as error:
        return fail(name, error.message, START_ENGINE)
    return fail(name, f"{tag} is missing or outdated.", "Build it: the0 images build")
