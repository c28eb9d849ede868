"""The host's own log lines on stderr: text for people, or one JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from the0.http import printable
from the0.settings import GeneralSettings

_QUIET = {
    **dict.fromkeys(
        ("sanic", "docker", "httpx", "httpcore", "pymongo", "asyncio"), logging.WARNING
    ),
    # Their warnings tell of each try; whoever called tells once what came of it.
    **dict.fromkeys(("urllib3", "nats"), logging.ERROR),
}
_LINE_CHARS = 4000


def configure_logging(settings: GeneralSettings) -> None:
    """Log to stderr in the form and from the level that the settings name."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.log_format == "json" else TextLines())
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)


class TextLines(logging.Formatter):
    """`<time> <LEVEL> <message>`; whatever came from outside cannot begin a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        text = printable(record.getMessage(), _LINE_CHARS)
        line = f"{_time(record)} {record.levelname:<7} {text}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """One JSON object: `time`, `level`, `logger`, `message`, perhaps `traceback`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:_LINE_CHARS],
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
