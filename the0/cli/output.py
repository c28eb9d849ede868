"""How commands print: tables and facts for a person, JSON for a program, progress to stderr."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from the0.plugin.interfaces import Progress
from the0.text import printable

COLUMN_GAP = "  "


def print_json(value: Any) -> None:
    """A JSON value, indented."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table with aligned columns; cells are made harmless."""
    cells = [list(headers), *([printable(cell, 80) for cell in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    return [
        COLUMN_GAP.join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    ]


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """:func:`table` on stdout, the head in bold on a terminal."""
    head, *lines = table(headers, rows)
    click.secho(head, bold=True)
    for line in lines:
        click.echo(line)


def facts(pairs: Sequence[tuple[str, str]]) -> None:
    """`name: value` lines on stdout, values aligned; empty values are left out."""
    shown = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(f"{name + ':':<{width + 1}} {printable(value, 1000)}")


def say(text: str) -> None:
    """A remark beside the command's data, on stderr."""
    click.echo(text, err=True)


class Steps(Progress):
    """Progress of a long step, a line each, on stderr."""

    def step(self, text: str) -> None:
        say(f"  {printable(text, 200)}")


def read_time(text: str | None) -> datetime | None:
    """A time of the API, aware; None where there is none."""
    if not text:
        return None
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def duration(seconds: float) -> str:
    """A duration as its two largest units: `42s`, `3m 5s`, `2h`, `4d 3h`."""
    total = max(0, round(seconds))
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    first = next((at for at, (_, size) in enumerate(units) if total >= size), len(units) - 1)
    parts: list[str] = []
    for unit, size in units[first : first + 2]:
        count, total = divmod(total, size)
        parts.append(f"{count}{unit}" if count or not parts else "")
    return " ".join(part for part in parts if part)


def since(text: str | None, now: datetime) -> str:
    """How long ago a time of the API was; a dash where there is none."""
    time = read_time(text)
    return duration((now - time).total_seconds()) if time else "-"


def megabytes(size: int) -> str:
    """A size in bytes for a person."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _width(text: str) -> int:
    """Columns on a terminal: wide East Asian characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )
