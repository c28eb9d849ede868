"""What a bot in one language stores, a query in the other reads, value for value."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.bot_containers import InImage, project_of

FILES = json.loads((Path(__file__).parents[2] / "vectors/sdk.json").read_text())["state"]["files"]

PYTHON_BOT = """
from the0 import state

def main(bot_id, config):
    for case in config["files"]:
        state.set(case["key"], case["value"])
"""
PYTHON_QUERY = """
from the0 import query, state

@query.handler("/all")
def everything(request):
    return [[key, state.get(key)] for key in state.list()]

query.run()
"""
NODE_BOT = """
import { parse, state } from "the0-sdk"

export function main() {
  for (const { key, value } of parse({ exact: true }).config.files) state.set(key, value)
}
"""
NODE_QUERY = """
import { query, state } from "the0-sdk"

const read = (key) => [key, state.get(key, "none", { exact: true })]
query.handler("/all", () => state.list().map(read))
query.run()
"""
PYTHON, NODE = ("python3.11", ".py", PYTHON_BOT), ("nodejs20", ".mjs", NODE_BOT)


@pytest.mark.parametrize(
    ("writer", "reader", "query"),
    [(PYTHON, NODE, NODE_QUERY), (NODE, PYTHON, PYTHON_QUERY)],
    ids=["python to node", "node to python"],
)
def test_state_and_answers_are_the_same_in_both_languages(
    bots_of: InImage,
    images: Callable[[str], str],
    tmp_path: Path,
    writer: tuple[str, str, str],
    reader: tuple[str, str, str],
    query: str,
) -> None:
    runtime, suffix, source = writer
    bots = bots_of(runtime)
    bot = project_of(
        tmp_path / "bot",
        *(runtime, "scheduled", {"bot": f"main{suffix}"}),
        **{f"main{suffix}": source},
    )
    bots.give(bot, {"files": FILES})
    assert bots.run() == 0
    runtime, suffix, source = reader
    bots.image = images(runtime)
    asked = project_of(
        tmp_path / "query",
        *(runtime, "scheduled", {"bot": f"main{suffix}", "query": f"query{suffix}"}),
        **{f"main{suffix}": source, f"query{suffix}": query},
    )
    expected = sorted([case["key"], case["value"]] for case in FILES)
    assert bots.ask(asked, {}, "/all") == {"status": "ok", "data": expected}
