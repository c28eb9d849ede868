"""Plugins of strangers: an environment beside the platform's, and what is installed there."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.locks import one_at_a_time

_SCRIPT = """#!{python}
import sys
from {module} import main
sys.exit(main())
"""
_SCRIPTS = {"the0": "the0.cli.main", "the0-host": "the0_host.main"}


@dataclass(frozen=True)
class Environment:
    """A virtual environment that sees all that the tests' own one has, and more."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> Environment:
        venv.create(root, with_pip=False, symlinks=True)
        made = cls(root)
        own = sysconfig.get_path("purelib")
        (made.site / "platform.pth").write_text(f"import site; site.addsitedir({own!r})\n")
        for name, module in _SCRIPTS.items():
            script = root / "bin" / name
            script.write_text(_SCRIPT.format(python=made.python, module=module))
            script.chmod(0o755)
        return made

    @property
    def python(self) -> Path:
        return self.root / "bin" / "python"

    @property
    def host(self) -> Path:
        return self.root / "bin" / "the0-host"

    @property
    def site(self) -> Path:
        (found,) = self.root.glob("lib/python*/site-packages")
        return found

    def install(self, *projects: Path) -> None:
        """Build a wheel of each and install it."""
        wheels = self.root / "wheels"
        options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
        _pip("wheel", *options, "-w", str(wheels), *map(str, projects))
        found = [str(wheel) for wheel in wheels.glob("*.whl")]
        _pip("--python", str(self.python), "install", *options[::2], "--force-reinstall", *found)
        for wheel in found:
            Path(wheel).unlink()

    def uninstall(self, distribution: str) -> None:
        _pip("--python", str(self.python), "uninstall", "-y", distribution)

    def write(self, distribution: str, source: str, entry_point: str = "") -> None:
        """A distribution of one module, as an installer would have left it."""
        module = distribution.replace("-", "_")
        (self.site / f"{module}.py").write_text(source)
        info = self.site / f"{module}-1.0.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        (info / "METADATA").write_text(metadata)
        declared = f"[the0]\n{entry_point or distribution} = {module}\n"
        (info / "entry_points.txt").write_text(declared)

    def the0(self, *words: str, env: Mapping[str, str]) -> str:
        """What a command that succeeds says."""
        done = subprocess.run(
            [self.root / "bin" / "the0", *words],
            check=False,
            env={**env},
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, f"the0 {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def plugins(self, env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """What `the0 plugins` lists, by distribution."""
        listed = json.loads(self.the0("plugins", "--json", env=env))["plugins"]
        return {one["distribution"]: one for one in listed}


def _pip(*words: str) -> None:
    # Builds write into the project's folder and pip's cache: one at a time.
    with one_at_a_time("pip"):
        done = subprocess.run(
            [sys.executable, "-m", "pip", "-q", *words], check=False, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stdout + done.stderr
