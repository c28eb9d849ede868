"""Peak memory of a process's control group, as the kernel of this machine counts it."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def peak_of(pid: int) -> int | None:
    """Peak memory in bytes of the group that process `pid` is in; None where it cannot be read
    (another machine, a process that has ended, a kernel before 5.19)."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return None
    file = peak_file(groups)
    try:
        return int(file.read_text()) if file else None
    except (OSError, ValueError):
        return None


def peak_file(groups: str) -> Path | None:
    """Where the peak stands, of the text of `/proc/<pid>/cgroup`; None for the root group."""
    entries = [line.split(":", 2) for line in groups.splitlines() if line.count(":") >= 2]
    for _, controllers, path in entries:
        if path == "/":
            continue
        if "memory" in controllers.split(","):
            return _ROOT / "memory" / path.lstrip("/") / "memory.max_usage_in_bytes"
        if not controllers:
            unified = _ROOT / path.lstrip("/") / "memory.peak"
            if unified.exists():
                return unified
    return None
