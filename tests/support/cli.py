"""Commands run in this process, as the console script runs them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from the0.cli.main import run


class Cli:
    """`out` and `err` are what the last command printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    async def __call__(self, *arguments: object) -> int:
        code = await asyncio.to_thread(run, [str(one) for one in arguments])
        self.out, self.err = self._capsys.readouterr()
        return code

    async def json(self, *arguments: object) -> Any:
        assert await self(*arguments, "--json") == 0, self.err
        return json.loads(self.out)
