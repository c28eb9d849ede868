"""What a test may not leave behind: environment variables, files, tasks, containers."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from the0.builtin.docker_firewall import Firewall
from the0.builtin.docker_rules import Chains, ours

if TYPE_CHECKING:
    import docker

CHECKOUT = Path(__file__).parents[2]
# Written by pytest and the tools themselves.
TOOLS = {
    ".pytest_cache", ".hypothesis", ".mypy_cache", ".ruff_cache", ".import_linter_cache", ".git",
}  # fmt: skip
PYTEST_VARIABLES = {"PYTEST_CURRENT_TEST", "PYTEST_VERSION"}


@contextmanager
def no_environment_leak() -> Iterator[None]:
    """AssertionError for variables that differ afterwards; they are put back first."""
    before = dict(os.environ)
    yield
    after = dict(os.environ)
    changed = {
        name
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name) and name not in PYTEST_VARIABLES
    }
    for name in changed:
        os.environ.pop(name, None)
        if name in before:
            os.environ[name] = before[name]
    assert not changed, f"environment variables left changed: {sorted(changed)}"


@contextmanager
def no_file_leak() -> Iterator[None]:
    """AssertionError for files left in the checkout, the working or the temporary directory."""
    places = {CHECKOUT, Path.cwd(), Path(tempfile.gettempdir())}
    before = {place: _names(place) for place in places}
    yield
    left = [str(place / name) for place in places for name in _names(place) - before[place]]
    assert not left, f"files left behind: {sorted(left)}"


def assert_no_new_tasks(before: set[asyncio.Task[Any]]) -> None:
    """AssertionError naming the tasks of the running loop that were not there `before`."""
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"tasks left running: {sorted(task.get_name() for task in left)}"


def _names(place: Path) -> set[str]:
    """But for those of tools."""
    return set(os.listdir(place)) - TOOLS


def left_in_engine(client: docker.DockerClient, instance: str) -> list[str]:
    """Remove every container, network and volume whose name holds `instance`, and its firewall
    rules; returns them."""
    kinds: Iterable[tuple[str, list[object]]] = (
        (
            "container",
            client.containers.list(all=True, ignore_removed=True, filters={"name": instance}),
        ),
        ("network", client.networks.list(filters={"name": instance})),
        ("volume", client.volumes.list(filters={"name": instance})),
    )
    left = []
    for kind, things in kinds:
        for thing in things:
            left.append(f"{kind} {thing.name}")
            thing.remove(force=True) if kind != "network" else thing.remove()
    return [*left, *_left_in_firewall(instance)]


def _left_in_firewall(instance: str) -> list[str]:
    tool = shutil.which("iptables-save")
    if tool is None or os.geteuid() != 0:
        return []  # who cannot see rules cannot have made any
    rules = subprocess.run([tool], capture_output=True, text=True, check=True).stdout
    left = [f"rule {line}" for line in ours(rules, Chains.of(instance))]
    if left:
        Firewall(instance).remove()
    return left


def engine_report(client: docker.DockerClient, instance: str) -> str:
    """State and last log lines of every container of `instance`, for a failed test."""
    parts = []
    for container in client.containers.list(
        all=True, ignore_removed=True, filters={"name": instance}
    ):
        state = container.attrs["State"]
        log = container.logs(tail=50).decode(errors="replace")
        parts.append(f"{container.name}: {state}\n{log}")
    return "\n\n".join(parts)
