"""The wrapper as a process: what a bot sees, how each end is told."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import the0_runtime_python

import the0

WRAPPER = Path(the0_runtime_python.__file__).with_name("wrapper.py")
PLATFORM = Path(the0.__file__).parent.parent


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str
    result: Any


class Bot:
    """A bot's folder and its process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def start(self, script: str = "main.py") -> "subprocess.Popen[str]":
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{self.folder}/vendor:{self.folder}:{PLATFORM}",
            "PYTHONUNBUFFERED": "1",
            "CODE_MOUNT_DIR": str(self.folder).lstrip("/"),
            "SCRIPT_PATH": script,
            "BOT_ID": "bot-1",
            "BOT_CONFIG": '{"symbol": "BTC", "big": 123456789012345678901}',
            "STATE_DIR": str(self.folder / "state"),
        }
        return subprocess.Popen(
            [sys.executable, "-P", str(WRAPPER)],
            env=env,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, main: str, script: str = "main.py") -> Ended:
        self.write(script, main)
        process = self.start(script)
        out, err = process.communicate(timeout=60)
        return Ended(process.returncode, out, err, self.result())

    def result(self) -> Any:
        path = self.folder / "result.json"
        return json.loads(path.read_text()) if path.exists() else None


@pytest.fixture
def bot(tmp_path: Path) -> Bot:
    return Bot(tmp_path)


def test_main_gets_id_and_configuration_exactly(bot: Bot) -> None:
    ended = bot.run("def main(bot_id, config): print(bot_id, config['big'])")
    assert (ended.code, ended.out) == (0, "bot-1 123456789012345678901\n")
    assert ended.result["status"] == "success"


@pytest.mark.parametrize(
    ("main", "printed"),
    [
        ("def main(): print('bare')", "bare"),
        ("def main(bot_id=None, config=None): print(bot_id)", "bot-1"),
        ("def main(*args): print(len(args))", "2"),
        ("async def main(bot_id, config): print('async', bot_id)", "async bot-1"),
        ("async def main(): print('async bare')", "async bare"),
        ("class A:\n    def go(self, x=1): print('method')\nmain = A().go", "method"),
        ("import functools\n@functools.cache\ndef main(): print('cached')", "cached"),
        ("class main:\n    def __init__(self, a, b): print('class')", "class"),
    ],
)
def test_every_form_of_main_is_called(bot: Bot, main: str, printed: str) -> None:
    ended = bot.run(main)
    assert (ended.code, ended.out.strip(), ended.err) == (0, printed, "")


def test_a_main_that_cannot_be_called_is_an_error_that_says_how(bot: Bot) -> None:
    ended = bot.run("def main(a, b, c): ...")
    assert ended.code == 1
    assert "must take (bot_id, config) or nothing" in ended.err
    assert ended.result["status"] == "error"


def test_no_main_is_said_clearly(bot: Bot) -> None:
    ended = bot.run("print('imported')")
    assert (ended.code, ended.out) == (1, "imported\n")
    assert ended.err == ("main.py has no function main(bot_id, config), which the platform calls\n")
    assert ended.result == {"status": "error", "message": ended.err.strip()}


def test_a_missing_file_is_said_clearly(bot: Bot) -> None:
    process = bot.start("gone.py")
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, "gone.py is not a Python file in the bot's code\n")


def test_an_exception_is_code_1_with_its_traceback(bot: Bot) -> None:
    ended = bot.run("def main(bot_id, config): raise RuntimeError('no funds')")
    assert ended.code == 1
    assert "Traceback" in ended.err
    assert "RuntimeError: no funds" in ended.err
    assert ended.result == {"status": "error", "message": "no funds"}


@pytest.mark.parametrize(
    ("main", "message"),
    [
        ("import asyncio\nasync def main(): raise asyncio.CancelledError", "CancelledError"),
        ("class Own(BaseException): ...\ndef main(): raise Own('mine')", "mine"),
        ("def main(): raise GeneratorExit", "GeneratorExit"),
        (
            "class Mute(Exception):\n    def __str__(self): return 1 / 0\ndef main(): raise Mute",
            "Mute",
        ),
        ("import sys\ndef main():\n    sys.stderr.close()\n    1 / 0", "division by zero"),
    ],
)
def test_whatever_is_raised_is_code_1_with_a_result(bot: Bot, main: str, message: str) -> None:
    ended = bot.run(main)
    assert (ended.code, ended.result) == (1, {"status": "error", "message": message})
    assert "Traceback" in ended.err or "stderr.close" in main


def test_an_interrupt_ends_the_process_as_its_signal_does(bot: Bot) -> None:
    ended = bot.run("import os, signal\ndef main(): os.kill(os.getpid(), signal.SIGINT)")
    assert ended.code == -signal.SIGINT
    assert "KeyboardInterrupt" in ended.err
    assert ended.result == {"status": "error", "message": "interrupted"}


@pytest.mark.parametrize("source", ["import nowhere_at_all", "def main(:", "1 / 0"])
def test_an_import_that_fails_is_code_1_with_its_traceback(bot: Bot, source: str) -> None:
    ended = bot.run(source)
    assert ended.code == 1
    assert "Traceback" in ended.err
    assert ended.result["status"] == "error"


def test_the_bots_own_result_wins(bot: Bot) -> None:
    ended = bot.run(
        "from the0 import result\ndef main(b, c):\n    result({'status': 'mine'})\n    1 / 0"
    )
    assert (ended.code, ended.result) == (1, {"status": "mine"})


def test_a_result_that_came_with_the_code_is_not_this_runs(bot: Bot) -> None:
    bot.write("result.json", '{"status": "old"}')
    assert bot.run("def main(): ...").result["status"] == "success"


@pytest.mark.parametrize(
    ("leave", "code", "status"),
    [
        ("sys.exit()", 0, "success"),
        ("sys.exit(0)", 0, "success"),
        ("sys.exit(7)", 7, "error"),
        ("sys.exit('text')", 1, "error"),
    ],
)
def test_exit_codes_are_the_bots(bot: Bot, leave: str, code: int, status: str) -> None:
    ended = bot.run(f"import sys\ndef main(): {leave}")
    assert (ended.code, ended.result["status"]) == (code, status)


def test_error_of_the_sdk_keeps_its_message(bot: Bot) -> None:
    ended = bot.run("import the0\ndef main(b, c): the0.error('no funds', {'need': 5})")
    assert ended.code == 1
    assert ended.result == {"status": "error", "message": "no funds", "data": {"need": 5}}


def test_info_is_logged(bot: Bot) -> None:
    ended = bot.run("import logging\ndef main(): logging.getLogger('x').info('hello')")
    assert "hello" in ended.err


def test_the_main_block_of_a_script_does_not_run(bot: Bot) -> None:
    ended = bot.run("def main(): print('main')\nif __name__ == '__main__':\n    print('script')")
    assert ended.out == "main\n"


def test_an_entrypoint_in_a_folder_imports_its_neighbours(bot: Bot) -> None:
    bot.write("src/helper.py", "word = 'neighbour'")
    bot.write("shared.py", "word = 'top'")
    source = "import helper, shared\ndef main(): print(helper.word, shared.word)"
    assert bot.run(source, "src/start.py").out == "neighbour top\n"


def test_vendored_packages_win(bot: Bot) -> None:
    bot.write("vendor/the0/__init__.py", "origin = 'vendored'")
    assert bot.run("import the0\ndef main(): print(the0.origin)").out == "vendored\n"


def test_a_name_of_the_standard_library_is_no_trouble(bot: Bot) -> None:
    assert bot.run("def main(): print(__name__)", "src/statistics.py").out == "bot_statistics\n"


def test_dataclasses_and_processes_find_the_bots_module(bot: Bot) -> None:
    ended = bot.run(
        "import multiprocessing\n"
        "def work(x): return x * 2\n"
        "def main():\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.map(work, [21]))\n"
    )
    assert (ended.code, ended.out) == (0, "[42]\n")


HANDLER = """
import signal, sys
def stop(*_):
    print('bye', flush=True)
    sys.exit(0)
def main():
    signal.signal(signal.SIGTERM, stop)
    print('ready', flush=True)
    signal.pause()
"""

ASYNC_HANDLER = """
import asyncio, signal
async def main(bot_id, config):
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print('ready', flush=True)
    await stop.wait()
    print('bye', flush=True)
"""


@pytest.mark.parametrize("source", [HANDLER, ASYNC_HANDLER])
def test_sigterm_reaches_the_bots_own_handler(bot: Bot, source: str) -> None:
    process = _until_ready(bot, source)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "bye\n")
    assert bot.result()["status"] == "success"


def test_sigterm_without_a_handler_ends_the_process(bot: Bot) -> None:
    process = _until_ready(
        bot,
        "import time\ndef main():\n"
        "    print('ready', flush=True)\n"
        "    try:\n        time.sleep(600)\n    except BaseException: print('seen')",
    )
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (-signal.SIGTERM, "", "")
    assert bot.result() is None


def _until_ready(bot: Bot, source: str) -> "subprocess.Popen[str]":
    bot.write("main.py", source)
    process = bot.start()
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process
