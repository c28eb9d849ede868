"""The container engine: does it answer, what can it not do, are the images there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence

from the0.core.images import image_digest, image_tag
from the0.doctor.check import Check, fail, ok, said, warn
from the0.errors import The0Error
from the0.plugin.interfaces import EngineInfo, Executor, Runtime

START_ENGINE = (
    "Start it (systemctl start docker), or install Docker Engine and see to it that this user "
    "may use it: `docker info` must answer."
)
BUILD_IMAGE = "Build it: the0 images build"
MEND_IMAGE = "Unset docker.runtime_image (RUNTIME_IMAGE) if it is set, then: the0 images build"
LIVE_RESTORE = (
    'Set "live-restore": true in /etc/docker/daemon.json and reload Docker, so that bots outlive '
    "a restart of the engine."
)


def check_engine(executor: Executor, runtimes: Sequence[Runtime]) -> Iterator[Check]:
    """All that depends on the engine; only its absence when it does not answer."""
    try:
        info = executor.info()
    except The0Error as error:
        yield fail("engine", said(error), START_ENGINE)
        return
    yield ok("engine", f"Version {info.version} answers.")
    yield from limitations(info)
    yield from _foreign(executor)
    yield from _images(executor, runtimes)


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


def _images(executor: Executor, runtimes: Sequence[Runtime]) -> Iterator[Check]:
    """One check a runtime, and one for all whose image the engine refuses for the same reason."""
    refused: dict[str, list[str]] = {}
    for runtime in runtimes:
        try:
            yield _image(executor, runtime)
        except The0Error as error:
            refused.setdefault(said(error), []).append(runtime.name)
    for message, names in refused.items():
        yield fail("images", f"Of {', '.join(names)}: {message}", MEND_IMAGE)


def _image(executor: Executor, runtime: Runtime) -> Check:
    tag = image_tag(runtime)
    if executor.has_image(tag, image_digest(runtime)):
        return ok(f"image {runtime.name}", f"{tag} is there.")
    return fail(f"image {runtime.name}", f"{tag} is missing or outdated.", BUILD_IMAGE)
