"""What one bot costs beside its own code: proportional memory by process, kernel, engine, disk."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from statistics import mean

from bench import bare
from bench.harness import Figure, Report, children, processes_named, pss_mib
from bench.site import Site, document
from bench.wire import wire

BOTS = 20
SETTLE_SEC = 12.0
ENGINE = ("dockerd", "containerd")
BARE = "idle python3 in a bare container"


def run(site: Site, report: Report) -> None:
    report.begin("memory", f"of {BOTS} idle bots, each alone in its container; MiB are PSS")
    bare.start_many(site, BOTS, site.settings.runner.starts_at_once)
    limit = [pss_mib(site.pid(one.ref)) for one in site.executor.list()]
    site.clear()
    engine = _engine()
    with site.host("runner"), wire(site) as nats:
        ids = [f"idle-{number}" for number in range(BOTS)]
        for bot_id in ids:
            nats.tell("created", document(bot_id))
        for bot_id in ids:
            nats.first_line(bot_id)
        time.sleep(SETTLE_SEC)
        _report(site, report, limit, engine)
    site.clear()


def _report(site: Site, report: Report, limit: list[float], engine: float) -> None:
    refs = [one.ref for one in site.executor.list()]
    agents = [site.pid(ref) for ref in refs]
    parts: dict[str, list[float]] = {"agent": [pss_mib(pid) for pid in agents]}
    for pid in agents:
        for child in children(pid):
            name = "sync" if _program(child) == _program(pid) else "bot's python"
            parts.setdefault(name, []).append(pss_mib(child))
    parts["shim"] = [pss_mib(_parent(pid)) for pid in agents]
    parts["kernel"] = [kernel for ref in refs if (kernel := _kernel_mib(ref)) is not None]
    for name, values in parts.items():
        if values:
            report.add(Figure(name, "MiB", values, limit if name != "kernel" else (), BARE))
    ours = [mean(parts["agent"]) + mean(parts["sync"])]
    report.add(Figure("agent + sync", "MiB", ours, limit, BARE))
    grown = (_engine() - engine) / len(refs)
    report.add(Figure("dockerd and containerd, for each bot", "MiB", [grown]))
    report.add(Figure("disk of a bot's volumes", "MiB", [_disk_mib(site) / len(refs)]))


def _engine() -> float:
    return sum(pss_mib(pid) for name in ENGINE for pid in processes_named(name))


def _program(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _kernel_mib(ref: str) -> float | None:
    """Kernel memory by the container's control group; None where version 1 does not have it."""
    path = Path(f"/sys/fs/cgroup/memory/docker/{ref}/memory.kmem.usage_in_bytes")
    return int(path.read_text()) / 2**20 if path.exists() else None


def _disk_mib(site: Site) -> float:
    """Of the named volumes of all bots."""
    names = [name for names in site.executor.bot_volumes().values() for name in names]
    paths = [site.docker.volumes.get(name).attrs["Mountpoint"] for name in names]
    told = subprocess.run(["du", "-sck", *paths], capture_output=True, text=True, check=True)
    return int(told.stdout.splitlines()[-1].split()[0]) / 1024
