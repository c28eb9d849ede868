"""the0: the SDK for bots and, on the host, the platform that runs them.

In a bot::

    from the0 import log, state

    def main(bot_id: str, config: dict) -> None:
        runs = state.get("runs", 0) + 1
        state.set("runs", runs)
        log("done", {"runs": runs})

Importing this package loads the SDK only; the platform's modules are imported by name.
"""

__version__ = "1.0.0"

from the0 import query, state
from the0.sdk.output import LogLevel, error, log, metric, parse, result, sleep, success

__all__ = [
    "LogLevel",
    "error",
    "log",
    "metric",
    "parse",
    "query",
    "result",
    "sleep",
    "state",
    "success",
]
