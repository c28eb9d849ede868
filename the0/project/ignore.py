"""Which files of a project stay out of its archive: ours by default, and ``.the0ignore``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

IGNORE_FILE = ".the0ignore"

DEFAULTS = (
    ".git/",
    ".hg/",
    ".venv/",
    "venv/",
    "node_modules/",
    "__pycache__/",
    "*.pyc",
    ".mypy_cache/",
    ".pytest_cache/",
    ".ruff_cache/",
    ".DS_Store",
    ".idea/",
    ".vscode/",
    ".env",
    ".env.*",
    ".npmrc",
    ".pypirc",
    ".the0-state/",
    "/result.json",
    f"/{IGNORE_FILE}",
)
"""Never wanted in an archive, and secrets; a later ``!pattern`` brings one back."""


@dataclass(frozen=True)
class IgnoreRules:
    """Patterns with the syntax and the precedence of .gitignore."""

    spec: GitIgnoreSpec

    def leaves_out(self, path: str) -> bool:
        """`path` is relative to the project, with slashes; a folder's ends with one."""
        return bool(self.spec.match_file(path))


def read_rules(folder: Path) -> IgnoreRules:
    """The defaults, then the lines of the project's own file."""
    own = folder / IGNORE_FILE
    lines = own.read_text("utf-8", "replace").splitlines() if own.is_file() else []
    return IgnoreRules(GitIgnoreSpec.from_lines([*DEFAULTS, *lines]))
