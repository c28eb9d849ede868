"""Keeps an instance's firewall rules in the kernel, by iptables."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from the0.builtin.docker_rules import (
    TABLE,
    Chains,
    Policy,
    ours,
    removal_text,
    restore_text,
    rules,
    rules6,
)
from the0.errors import Unavailable

_COMMAND_SEC = 20
_LOCK = "--wait=5"  # another process, Docker itself too, may hold the tables for a moment
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


class Firewall:
    """Keeps one instance's chains as a policy says. Needs root, iptables and a local engine."""

    def __init__(self, instance: str) -> None:
        self._chains = Chains.of(instance)
        self._applied: dict[str, tuple[Sequence[str], tuple[str, ...]]] = {}

    def apply(self, policy: Policy) -> None:
        """Make the rules so; one `iptables-save` a protocol when they are so already.

        Raises :class:`~the0.errors.Unavailable` saying what is in the way.
        """
        if os.geteuid() != 0:
            raise Unavailable("Only root may change the firewall.")
        self._apply("iptables", rules(self._chains, policy))
        if Path("/proc/sys/net/ipv6").exists():
            self._apply("ip6tables", rules6(self._chains))

    def _apply(self, tool: str, body: Sequence[str]) -> None:
        jumps = self._chains.jumps
        current = ours(_run(tool + "-save", "-t", TABLE), self._chains)
        if self._applied.get(tool) == (body, current):
            return
        missing = [(chain, rule) for chain, rule in jumps if f"-A {chain} {rule}" not in current]
        text = restore_text(self._chains, body, missing)
        _run(tool + "-restore", _LOCK, "--noflush", stdin=text)
        self._applied[tool] = (body, ours(_run(tool + "-save", "-t", TABLE), self._chains))

    def remove(self) -> None:
        """Take the chains and the jumps into them away; no error when there are none."""
        self._applied.clear()
        if os.geteuid() != 0:
            return
        for tool in ("iptables", "ip6tables"):
            if shutil.which(tool + "-save", path=_PATH):
                self._remove(tool)

    def _remove(self, tool: str) -> None:
        present = ours(_run(tool + "-save", "-t", TABLE), self._chains)
        if present:
            _run(tool + "-restore", _LOCK, "--noflush", stdin=removal_text(present))


def _run(tool: str, *arguments: str, stdin: str = "") -> str:
    program = shutil.which(tool, path=_PATH)
    if program is None:
        raise Unavailable(f"{tool} is not installed (Debian: `apt-get install iptables`).")
    try:
        done = subprocess.run(
            [program, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SEC,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{tool} did not end within {_COMMAND_SEC} s.") from error
    if done.returncode != 0:
        raise Unavailable(f"{tool} refused: {done.stderr.strip()[:300]}")
    return done.stdout
