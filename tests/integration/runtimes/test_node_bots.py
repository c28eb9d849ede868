"""Node.js bots in the real image: the examples, the SDK as the image offers it, and what odd bots
do."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.support.agent import wait_until
from tests.support.bot_containers import InImage, ask_served, code_of, example, project_of

RUNTIME = "nodejs20"


def test_the_realtime_example_is_built_runs_and_says_goodbye(bots_of: InImage) -> None:
    """TypeScript of the real npm registry compiles it, with the types of the SDK."""
    bots = bots_of(RUNTIME)
    project, instance = example("trend-signal")
    bots.give(project, {**instance, "short": 1, "long": 2, "interval_sec": 0.05})
    container = bots.start()
    wait_until(lambda: bots.said().count("tick") > 3, "a fourth tick")
    wait_until(lambda: "Query server started on port 9476" in bots.said(), "the query server")
    answer = ask_served(container, "/average?count=2")
    assert answer["status"] == "ok"
    assert answer["data"]["average"] > 0
    assert ask_served(container, "/trend")["data"]["symbol"] == "ETH/USD"
    container.kill(signal.SIGTERM)
    assert code_of(container) == 0
    assert "stopping" in bots.said()
    assert bots.gateway.state is not None


def test_the_scheduled_example_goes_on_next_time_and_answers(bots_of: InImage) -> None:
    bots = bots_of(RUNTIME)
    project, instance = example("drift-report")
    for reports in (1, 2):
        bots.give(project, instance)
        assert bots.run() == 0
        result = json.loads(bots.gateway.results[-1])
        assert (result["status"], result["data"]["reports"]) == ("success", reports)
    answer = bots.ask(project, instance, "/drift", asset="ETH")
    assert (answer["status"], len(answer["data"])) == ("ok", 2)


SDK = """
import { createRequire } from "node:module"
import own, { state } from "the0-sdk"
import * as published from "@alexanderwanyoike/the0-node"
const { query } = createRequire(import.meta.url)("@alexanderwanyoike/the0-node")

export default async function (botId, config) {
  console.log(process.version.split(".")[0], botId, config.symbol)
  console.log(published.state === state, published.default === own, query === own.query)
  console.log(process.env.HOME, process.cwd(), process.env.THE0_TOKEN)
}
"""


def test_the_image_offers_the_sdk_under_both_names(bots_of: InImage, tmp_path: Path) -> None:
    bots = bots_of(RUNTIME)
    project = project_of(
        tmp_path / "project", RUNTIME, "scheduled", {"bot": "main.mjs"}, main__mjs=SDK
    )
    bots.give(project, {"symbol": "BTC"})
    assert bots.run() == 0
    expected = ["v20 bot-1 BTC", "true true true", "/tmp /bot undefined"]
    assert bots.gateway.lines() == expected


def test_an_exception_is_code_1_with_its_stack_in_the_log(bots_of: InImage, tmp_path: Path) -> None:
    bots = bots_of(RUNTIME)
    main = "exports.main = async () => { throw new Error('no funds') }"
    project = project_of(
        tmp_path / "project", RUNTIME, "scheduled", {"bot": "main.js"}, main__js=main
    )
    bots.give(project, {})
    assert bots.run() == 1
    lines = bots.gateway.lines("stderr")
    assert lines[0] == "Error: no funds"
    assert "/bot/main.js:1" in lines[1]
    assert json.loads(bots.gateway.results[-1]) == {"status": "error", "message": "no funds"}


QUERY_THAT_WRITES = """
const fs = require("node:fs")
const { query } = require("the0-sdk")
query.handler("/write", () => { fs.writeFileSync("/state/written", "x") })
query.run()
"""


def test_a_query_cannot_write_state_past_the_sdk(bots_of: InImage, tmp_path: Path) -> None:
    bots = bots_of(RUNTIME)
    files = {"main__js": "exports.main = () => {}", "query__js": QUERY_THAT_WRITES}
    entrypoints = {"bot": "main.js", "query": "query.js"}
    project = project_of(tmp_path / "project", RUNTIME, "scheduled", entrypoints, **files)
    answer = bots.ask(project, {}, "/write")
    assert answer["status"] == "error"
    assert "EACCES" in answer["error"] or "EROFS" in answer["error"]


ODD = {
    "trap": """
exports.main = () => new Promise(() => {
  for (const name of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2"]) process.on(name, () => {})
  require("node:fs").writeFileSync("/state/kept", "yes")
  console.log("ready")
  setInterval(() => {}, 60000)
})
""",
    "daemon": """
exports.main = () => new Promise((stop) => {
  process.on("SIGTERM", stop)
  process.chdir("/")
  const write = "while :; do date +%N > /state/beat; sleep 0.05; done"
  require("node:child_process")
    .spawn("sh", ["-c", write], { detached: true, stdio: "ignore" }).unref()
  require("node:fs").writeFileSync("/state/kept", "yes")
  console.log("ready")
  setInterval(() => {}, 60000)
})
""",
    "closed": """
const fs = require("node:fs")
exports.main = () => new Promise((stop) => {
  process.on("SIGTERM", stop)
  process.stdout.write(Buffer.from([0, 255, 254, 10]))
  process.stdout.write("ready\\n")
  fs.closeSync(1)
  console.log("nobody reads this")
  fs.writeFileSync("/state/kept", "yes")
  setInterval(() => {}, 60000)
})
""",
}


@pytest.mark.parametrize(("kind", "code"), [("trap", 137), ("daemon", 0), ("closed", 0)])
def test_odd_bots_are_stopped_and_their_state_is_saved(
    bots_of: InImage, tmp_path: Path, kind: str, code: int
) -> None:
    bots = bots_of(RUNTIME)
    project = project_of(
        tmp_path / "project", RUNTIME, "realtime", {"bot": "main.js"}, main__js=ODD[kind]
    )
    bots.give(project, {}, stop_grace_sec=1.0)
    container = bots.start()
    wait_until(lambda: "ready" in bots.gateway.lines("stdout"), "the bot is ready")
    wait_until(lambda: bots.gateway.state, "its state is stored")
    container.kill(signal.SIGTERM)
    assert code_of(container) == code
    if kind == "closed":
        assert bots.gateway.lines("stdout")[0].startswith("\0")
