"""A bot that never ends: watches a simulated price and logs an alert when it leaves its band."""

import random
import signal
import threading
from types import FrameType
from typing import Any

from the0 import log, metric, state

stopping = threading.Event()


def stop(_signal: int, _frame: FrameType | None) -> None:
    stopping.set()


def next_price(price: float) -> float:
    """One step of a random walk; never below a cent."""
    return max(0.01, round(price * (1 + random.gauss(0, 0.002)), 2))


def is_alert(price: float, reference: float, band_percent: float) -> bool:
    return abs(price - reference) / reference * 100 >= band_percent


def main(bot_id: str, config: dict[str, Any]) -> None:
    signal.signal(signal.SIGTERM, stop)
    symbol = config["symbol"]
    # Without a state there was no earlier run: begin where the configuration says.
    price = state.get("price", config.get("start_price", 45000))
    reference = state.get("reference", price)
    ticks = state.get("ticks", 0)
    log("watching", {"bot": bot_id, "symbol": symbol, "price": price, "ticks": ticks})

    while not stopping.wait(config.get("interval_sec", 1)):
        price = next_price(price)
        ticks += 1
        state.set("price", price)
        state.set("ticks", ticks)
        log("tick", {"symbol": symbol, "price": price, "ticks": ticks})
        if is_alert(price, reference, config.get("band_percent", 0.5)):
            state.set("alerts", state.get("alerts", 0) + 1)
            metric("alert", {"symbol": symbol, "price": price, "from": reference})
            reference = price
            state.set("reference", reference)

    log("stopping", {"symbol": symbol, "ticks": ticks})
