"""What all benchmarks print and how: a figure of ours beside its physical limit, and their ratio.

A figure is a list of measured values; shown are the median and the 99th percentile (of few values
that is the largest). The limit was measured in the same run, on the same machine, among the same
noise: the ratio is what may be compared between runs and machines.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Figure:
    """`values` of ours, those of `limit` and what that limit is; both in `unit`.

    `faster` says that more is better (a rate), so that a ratio above 1 always means slower.
    """

    name: str
    unit: str
    values: Sequence[float]
    limit: Sequence[float] = ()
    limit_is: str = ""
    faster: bool = False

    @property
    def p50(self) -> float:
        return statistics.median(self.values)

    @property
    def p99(self) -> float:
        """Of rates the slowest percent."""
        return percentile(self.values, 1 if self.faster else 99)

    @property
    def limit_p50(self) -> float | None:
        return statistics.median(self.limit) if self.limit else None

    @property
    def ratio(self) -> float | None:
        """How many times the limit it costs."""
        limit = self.limit_p50
        if not limit or not self.p50:
            return None
        return limit / self.p50 if self.faster else self.p50 / limit

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "unit": self.unit,
            "p50": self.p50,
            "p99": self.p99,
            "count": len(self.values),
            "limit": self.limit_p50,
            "limit_is": self.limit_is,
            "ratio": self.ratio,
        }


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest value at `percent` of the sorted values."""
    ordered = sorted(values)
    return ordered[round((len(ordered) - 1) * percent / 100)]


class Report:
    """Prints each figure as it comes, or all of them as one JSON document in the end."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._figures: dict[str, list[Figure]] = {}
        self._benchmark = ""

    def begin(self, benchmark: str, about: str) -> None:
        self._benchmark = benchmark
        self._figures[benchmark] = []
        if not self._as_json:
            print(f"\n{benchmark}: {about}", flush=True)

    def add(self, figure: Figure) -> None:
        self._figures[self._benchmark].append(figure)
        if not self._as_json:
            print(_line(figure), flush=True)

    def end(self) -> None:
        if self._as_json:
            shown = {name: [one.as_json() for one in all] for name, all in self._figures.items()}
            print(json.dumps(shown, indent=2))


def _line(figure: Figure) -> str:
    ours = _number(figure.p50)
    if len(figure.values) > 1:
        ours += f" (p99 {_number(figure.p99)}, n={len(figure.values)})"
    text = f"  {figure.name:<46} {ours} {figure.unit}"
    if figure.limit_p50 is not None:
        text += f" | {figure.limit_is} {_number(figure.limit_p50)}"
    if figure.ratio is not None:
        text += f" | ratio {figure.ratio:.2f}"
    return text


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def cpu_seconds(pid: int) -> float:
    """Processor time that a process (threads included) has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def pss_mib(pid: int) -> float:
    """Proportional memory of a process: shared pages count by how many share them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} tells no Pss")


def peak_mib(pid: int) -> float:
    """The most memory a process has had resident so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} tells no VmHWM")


def children(pid: int) -> list[int]:
    """Process ids of the direct children."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(one) for one in (task / "children").read_text().split()]
    return found


def processes_named(name: str) -> list[int]:
    """Process ids by the name of the program."""
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text().strip() == name:
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
