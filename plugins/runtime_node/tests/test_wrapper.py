"""The wrapper as a process, on the image's own Node.js: what a bot sees, how each end is told."""

import json
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from the0_runtime_node.manifest import SDK_FOLDER, SDK_NAMES
from the0_runtime_node.tools import FLAGS, NODE

WRAPPER = SDK_FOLDER.with_name("wrapper.js")
LARGE = 12345678901234567890


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str
    result: Any


class Bot:
    """A bot's folder, with the SDK where the image has it, and its process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in SDK_NAMES:
            link = folder / "node_modules" / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(SDK_FOLDER)

    def start(self, script: str = "main.js", config: Any = None) -> "subprocess.Popen[str]":
        env = {
            "PATH": "/usr/bin:/bin",
            "CODE_MOUNT_DIR": str(self.folder).lstrip("/"),
            "SCRIPT_PATH": script,
            "BOT_ID": "bot-1",
            "BOT_CONFIG": json.dumps(config or {"symbol": "BTC"}),
            "STATE_DIR": str(self.folder / "state"),
        }
        return subprocess.Popen(
            [NODE, *FLAGS, WRAPPER],
            env=env,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, source: str, script: str = "main.js", config: Any = None) -> Ended:
        (self.folder / script).write_text(source)
        process = self.start(script, config)
        out, err = process.communicate(timeout=60)
        return Ended(process.returncode, out, err, self.result())

    def until_ready(self, source: str) -> "subprocess.Popen[str]":
        (self.folder / "main.js").write_text(source)
        process = self.start()
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def result(self) -> Any:
        path = self.folder / "result.json"
        return json.loads(path.read_text()) if path.exists() else None


@pytest.fixture
def bot(tmp_path: Path) -> Bot:
    return Bot(tmp_path)


@pytest.mark.parametrize(
    ("script", "source"),
    [
        ("main.js", "exports.main = (id, c) => console.log(id, c.symbol)"),
        ("main.js", "module.exports = async (id, c) => console.log(id, c.symbol)"),
        ("main.js", "exports.default = (id, c) => console.log(id, c.symbol)"),
        ("main.js", "export const main = (id, c) => console.log(id, c.symbol)"),
        ("main.mjs", "export async function main(id, c) { console.log(id, c.symbol) }"),
        ("main.mjs", "export default (id, c) => console.log(id, c.symbol)"),
        ("main.mjs", "export default { main: (id, c) => console.log(id, c.symbol) }"),
        ("main.cjs", "module.exports.main = (id, c) => console.log(id, c.symbol)"),
    ],
)
def test_every_form_of_main_is_called(bot: Bot, script: str, source: str) -> None:
    ended = bot.run(source, script)
    assert (ended.code, ended.out, ended.err) == (0, "bot-1 BTC\n", "")
    assert ended.result["status"] == "success"


def test_main_comes_before_default(bot: Bot) -> None:
    source = "exports.main = () => console.log('m'); exports.default = () => console.log('d')"
    assert bot.run(source).out == "m\n"


def test_a_commonjs_bot_may_require_an_es_module(bot: Bot) -> None:
    (bot.folder / "helper.mjs").write_text("export const word = 'helped'")
    source = "const { word } = require('./helper.mjs'); exports.main = () => console.log(word)"
    ended = bot.run(source)
    assert (ended.out, ended.err) == ("helped\n", "")


def test_a_bot_that_runs_itself_when_it_is_the_program_runs_once(bot: Bot) -> None:
    source = (
        "import { pathToFileURL } from 'node:url';\n"
        "export const main = () => console.log('once');\n"
        "if (import.meta.url === pathToFileURL(process.argv[1]).href) main();\n"
    )
    assert bot.run(source, "main.mjs").out == "once\n"


def test_no_main_is_said_clearly(bot: Bot) -> None:
    ended = bot.run("console.log('loaded')")
    assert (ended.code, ended.out) == (1, "loaded\n")
    assert "main.js exports no function main(botId, config)" in ended.err
    assert ended.result["status"] == "error"


@pytest.mark.parametrize(
    "throwing",
    [
        "exports.main = () => { throw new Error('no funds') }",
        "exports.main = async () => { await null; throw new Error('no funds') }",
        "throw new Error('no funds')",
        "exports.main = () => new Promise(() => setTimeout(() => { throw new Error('no funds') }))",
        "exports.main = () => new Promise(() => { Promise.reject(new Error('no funds')); "
        "setTimeout(() => {}, 60000) })",
    ],
)
def test_what_nobody_catches_is_code_1_with_its_stack(bot: Bot, throwing: str) -> None:
    ended = bot.run(throwing)
    assert ended.code == 1
    assert "Error: no funds\n    at " in ended.err
    assert "main.js:1" in ended.err
    assert ended.result == {"status": "error", "message": "no funds"}


def test_handlers_of_the_bot_do_not_hide_that_main_failed(bot: Bot) -> None:
    ended = bot.run(
        "for (const name of ['uncaughtException', 'unhandledRejection']) process.on(name, () => {})"
        "\nexports.main = async () => { setInterval(() => {}, 60000); throw new TypeError('odd') }"
    )
    assert (ended.code, ended.result) == (1, {"status": "error", "message": "odd"})


def test_a_rejection_that_the_bot_handles_does_not_end_it(bot: Bot) -> None:
    ended = bot.run(
        "process.on('unhandledRejection', (e) => console.log('handled', e.message))\n"
        "exports.main = async () => { Promise.reject(new Error('x')); "
        "await new Promise((r) => setTimeout(r, 20)) }"
    )
    assert (ended.code, ended.out) == (0, "handled x\n")


@pytest.mark.parametrize("script", ["main.js", "main.mjs"])
def test_a_mistake_of_syntax_is_shown_with_its_place(bot: Bot, script: str) -> None:
    ended = bot.run("let a = 1\nlet b = (\n", script)
    assert ended.code == 1
    assert f"{script}:" in ended.err
    assert "SyntaxError" in ended.err
    assert ended.result["status"] == "error"


@pytest.mark.parametrize(
    ("leave", "code", "status"),
    [
        ("process.exit()", 0, "success"),
        ("process.exit(7)", 7, "error"),
        ("process.exitCode = 3", 3, "error"),
        ("return new Promise(() => {})", 13, "error"),
    ],
)
def test_exit_codes_are_the_bots(bot: Bot, leave: str, code: int, status: str) -> None:
    ended = bot.run(f"exports.main = () => {{ {leave} }}")
    assert (ended.code, ended.result["status"]) == (code, status)


def test_what_main_leaves_running_ends_with_it(bot: Bot) -> None:
    assert bot.run("exports.main = () => { setInterval(() => {}, 1000) }").code == 0


def test_the_bots_own_result_wins(bot: Bot) -> None:
    ended = bot.run(
        "const { result } = require('the0-sdk')\n"
        "exports.main = () => { result({ status: 'mine' }); throw new Error('x') }"
    )
    assert (ended.code, ended.result) == (1, {"status": "mine"})


def test_a_result_that_came_with_the_code_is_not_this_runs(bot: Bot) -> None:
    (bot.folder / "result.json").write_text('{"status": "old"}')
    assert bot.run("exports.main = () => {}").result["status"] == "success"


def test_an_integer_that_a_number_cannot_hold_is_named(bot: Bot) -> None:
    source = (
        "const { parse } = require('the0-sdk')\n"
        "exports.main = (id, config) => console.log(config.order.id === Number('{0}'), "
        "parse({ exact: true }).config.order.id === {0}n, parse().config.whole)\n"
    ).replace("{0}", str(LARGE))
    ended = bot.run(source, config={"order": {"id": LARGE}, "whole": 10**18})
    assert ended.out == "true true 1000000000000000000\n"
    (warning,) = ended.err.splitlines()
    assert json.loads(warning)["level"] == "warn"
    assert f"BOT_CONFIG.order.id is {LARGE}" in warning


@pytest.mark.parametrize("end", ["", "process.exit(0)", "throw new Error('x')"])
def test_no_line_is_lost_to_a_slow_reader(bot: Bot, end: str) -> None:
    lines = "for (let i = 0; i < 5000; i++) console.log('x'.repeat(100))"
    (bot.folder / "main.js").write_text(f"exports.main = () => {{ {lines}; {end} }}")
    process = bot.start()
    time.sleep(0.5)  # long enough to fill the pipe and to end, if it ended
    out, _ = process.communicate(timeout=60)
    assert out.count("\n") == 5000


HANDLER = """
process.on("SIGTERM", () => { console.log("bye"); process.exit(0) })
exports.main = () => {
  console.log("ready")
  return new Promise(() => setInterval(() => {}, 60000))
}
"""

FINISHING = """
exports.main = async () => {
  await new Promise((stop) => {
    process.once("SIGTERM", stop)
    setInterval(() => {}, 60000)
    console.log("ready")
  })
  console.log("bye")
}
"""


@pytest.mark.parametrize("source", [HANDLER, FINISHING])
def test_sigterm_reaches_the_bots_own_handler(bot: Bot, source: str) -> None:
    process = bot.until_ready(source)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "bye\n")
    assert bot.result()["status"] == "success"


def test_sigterm_without_a_handler_ends_the_process(bot: Bot) -> None:
    process = bot.until_ready(
        "exports.main = () => { console.log('ready'); return new Promise(() => "
        "setInterval(() => {}, 60000)) }"
    )
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (-signal.SIGTERM, "", "")
    assert bot.result() is None
