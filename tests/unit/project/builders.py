"""Projects and runtimes for these tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from the0.plugin.interfaces import ImageSpec, ProcessPlan, Progress, Runtime
from the0.plugin.registry import Registry

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "symbol": {"type": "string", "minLength": 1},
        "amount": {"type": "number", "minimum": 0},
        "mode": {"enum": ["paper", "live"]},
        "api_key": {"type": "string", "maxLength": 3},
        "limits": {"type": "object", "required": ["max", "min"]},
    },
    "required": ["symbol", "amount"],
    "additionalProperties": False,
}

CONFIG = """
name: my-bot
description: A bot
version: 1.2.3
author: me
type: realtime
runtime: fake1
entrypoints:
  bot: main.py
  query: query.py
schema:
  bot: bot-schema.json
readme: README.md
hasFrontend: false
metadata: {tags: [a], since: 2024-01-01}
"""

FILES: dict[str, str] = {
    "bot-config.yaml": CONFIG,
    "bot-schema.json": json.dumps(SCHEMA),
    "main.py": "def main(bot_id, config): ...\n",
    "query.py": "",
    "README.md": "# My bot\n",
}


def write_files(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def reader(files: Mapping[str, str]) -> Any:
    return lambda name: files[name].encode() if name in files else None


class FakeRuntime(Runtime):
    """Vendors one file; finds fault with a file called bad.py."""

    name = "fake1"
    aliases = ("fake",)

    def image(self) -> ImageSpec:
        return ImageSpec(packages=())

    def processes(self, entrypoints: Mapping[str, str]) -> ProcessPlan:
        return ProcessPlan(bot=["fake", entrypoints["bot"]], query=None)

    def check_project(self, project: Path, entrypoints: Mapping[str, str]) -> Sequence[str]:
        return ["bad.py: is bad"] if (project / "bad.py").exists() else []

    def vendor(self, project: Path, progress: Progress) -> None:
        write_files(project, {"vendor/dep.py": "DEP = 1\n", "vendor/x/__init__.py": ""})
        progress.step("vendored")


RUNTIMES: Registry[Runtime] = Registry("runtime", [FakeRuntime])
