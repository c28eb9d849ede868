"""What a bot reads at its start and what it tells the platform: result, metrics, log lines."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NoReturn, TextIO

from the0.sdk.files import write_whole

LogLevel = Literal["info", "warn", "error"]


def parse() -> tuple[str, dict[str, Any]]:
    """The bot's id and its configuration, from ``BOT_ID`` and ``BOT_CONFIG``.

    Raises ValueError when one is missing or the configuration is not JSON.
    """
    bot_id = os.environ.get("BOT_ID")
    text = os.environ.get("BOT_CONFIG")
    if not bot_id:
        raise ValueError("BOT_ID is not set; the platform sets it, set it yourself elsewhere")
    if not text:
        raise ValueError("BOT_CONFIG is not set; it holds the bot's configuration as JSON")
    try:
        return bot_id, json.loads(text)
    except json.JSONDecodeError as fault:
        raise ValueError(f"BOT_CONFIG is not JSON: {fault}") from fault


def success(message: str, data: Mapping[str, Any] | None = None) -> None:
    """End result of this run: it went well. `data` is added when there is any."""
    result(_outcome("success", message, data))


def error(message: str, data: Mapping[str, Any] | None = None) -> NoReturn:
    """End result of this run: it failed. Logs `message` and ends the process with code 1."""
    result(_outcome("error", message, data))
    log(message, "error")
    sys.exit(1)


def result(result_data: Mapping[str, Any]) -> None:
    """End result of this run, in a form of your own; the last call counts.

    What cannot be written is told on stderr and does not stop the bot.
    """
    path = result_path()
    try:
        write_whole(path, json.dumps(result_data))
    except (OSError, TypeError, ValueError) as fault:
        _write_line(sys.stderr, f"RESULT_ERROR: {path} could not be written: {fault}")


def metric(metric_type: str, data: Mapping[str, Any]) -> None:
    """Emit one metric: a JSON line on stdout with `metric_type` as its ``_metric``."""
    line = {"_metric": metric_type, **data, "timestamp": _now()}
    _write_line(sys.stdout, json.dumps(line))


def log(
    message: str,
    data_or_level: Mapping[str, Any] | LogLevel | None = None,
    level: LogLevel | None = None,
) -> None:
    """Log one JSON line on stderr: ``log("text")``, ``log("text", "warn")``,
    ``log("text", {"order": 7})`` or ``log("text", {"order": 7}, "error")``."""
    fields: Mapping[str, Any] = {}
    if isinstance(data_or_level, str):
        level = data_or_level
    elif data_or_level is not None:
        fields = data_or_level
    line = {"level": level or "info", "message": message, **fields, "timestamp": _now()}
    _write_line(sys.stderr, json.dumps(line))


def sleep(seconds: float) -> None:
    """Wait; a signal that the bot handles is handled meanwhile."""
    time.sleep(seconds)


def result_path() -> str:
    """Where the run's result lies: ``/<CODE_MOUNT_DIR>/result.json``."""
    return f"/{os.environ.get('CODE_MOUNT_DIR', 'bot')}/result.json"


def _outcome(status: str, message: str, data: Mapping[str, Any] | None) -> dict[str, Any]:
    outcome: dict[str, Any] = {"status": status, "message": message}
    if data:
        outcome["data"] = data
    return outcome


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _write_line(stream: TextIO, line: str) -> None:
    # One write a line: lines of several threads or processes never mix.
    stream.write(line + "\n")
    stream.flush()
