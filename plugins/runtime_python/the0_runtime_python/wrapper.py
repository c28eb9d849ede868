"""Runs a Python bot in its container: imports the entrypoint, calls its main, tells how it ended.

Standard library only, and as little of it as possible: it runs in every container. It installs no
signal handler: SIGTERM is the bot's own, and ends the process where the bot has none.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable
from types import FunctionType
from typing import Any


def main() -> None:
    """Run the bot that the environment describes; ends the process with the bot's exit code."""
    folder = "/" + os.environ.get("CODE_MOUNT_DIR", "bot").strip("/")
    result = Result(f"{folder}/result.json")
    logging.basicConfig(level=logging.INFO)
    try:
        call(load_main(folder, os.environ.get("SCRIPT_PATH", "main.py")))
    except SystemExit as end:
        failed = end.code not in (None, 0)
        text = end.code if isinstance(end.code, str) else f"exit code {end.code or 0}"
        result.unless_written("error" if failed else "success", text)
        raise
    except KeyboardInterrupt:
        result.unless_written("error", "interrupted")
        raise  # which ends the process as the signal does that it stands for
    except BaseException as error:  # asyncio.CancelledError and GeneratorExit are no Exceptions
        result.unless_written("error", message_of(error))
        # One write, so that no line of another thread falls into the traceback.
        sys.stderr.write(traceback.format_exc())
        sys.stderr.flush()
        sys.exit(1)
    result.unless_written("success", "the bot's main returned")


def message_of(error: BaseException) -> str:
    """What an exception says, or what it is where it says nothing or cannot."""
    try:
        return str(error) or type(error).__name__
    except BaseException:
        return type(error).__name__


def load_main(folder: str, script: str) -> Callable[..., Any]:
    """Import `script` (relative to `folder`) by its path and return its `main`."""
    path = os.path.join(folder, script)
    name = os.path.basename(path).removesuffix(".py").replace(".", "_")
    if name in sys.stdlib_module_names or name in sys.modules:
        name = f"bot_{name}"
    add_to_path(folder, os.path.dirname(path))
    sys.argv[:] = [path]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not os.path.isfile(path):
        sys.exit(f"{script} is not a Python file in the bot's code")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    if not callable(getattr(module, "main", None)):
        sys.exit(f"{script} has no function main(bot_id, config), which the platform calls")
    function: Callable[..., Any] = module.main
    return function


def add_to_path(folder: str, script_folder: str) -> None:
    """Let an entrypoint in a sub-folder import its neighbours; vendor and code come first."""
    if script_folder not in sys.path:
        after = sys.path.index(folder) + 1 if folder in sys.path else 0
        sys.path.insert(after, script_folder)


def call(function: Callable[..., Any]) -> None:
    """Call main with what it takes, and wait for it where it is asynchronous."""
    returned = function(*arguments(function))
    if hasattr(returned, "__await__"):
        import asyncio  # noqa: PLC0415 - costs every other bot time and memory

        async def wait() -> None:
            await returned

        asyncio.run(wait())


def arguments(function: Callable[..., Any]) -> tuple[Any, ...]:
    """(bot id, configuration), or nothing for a main without parameters."""
    both = (os.environ.get("BOT_ID", ""), json.loads(os.environ.get("BOT_CONFIG") or "{}"))
    if isinstance(function, FunctionType) and function.__code__.co_argcount == len(both):
        return both
    import inspect  # noqa: PLC0415 - costs 10 ms, and most bots take both

    signature = inspect.signature(function)
    for candidate in (both, ()):
        try:
            signature.bind(*candidate)
        except TypeError:
            continue
        return candidate
    raise TypeError(f"main{signature} cannot be called: it must take (bot_id, config) or nothing")


class Result:
    """The file that tells how the run ended. One that came with the code is not this run's."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            os.remove(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            sys.stderr.write(f"RESULT_ERROR: {path} cannot be replaced: {error}\n")

    def unless_written(self, status: str, message: str) -> None:
        """Write the outcome; the bot's own result wins."""
        if os.path.exists(self.path):
            return
        scratch = f"{self.path}.tmp"
        try:
            with open(scratch, "w", encoding="utf-8") as file:
                json.dump({"status": status, "message": message}, file)
            os.replace(scratch, self.path)
        except OSError as error:
            sys.stderr.write(f"RESULT_ERROR: {self.path} could not be written: {error}\n")


if __name__ == "__main__":
    main()
