"""A bot that runs and ends: values a portfolio at simulated prices and keeps the history."""

import random
from datetime import UTC, datetime
from typing import Any

from the0 import log, metric, state, success

PRICES = {"BTC": 45000.0, "ETH": 2400.0, "SOL": 120.0}


def value_of(holdings: dict[str, float]) -> float:
    """The holdings at today's simulated prices; what is not known is worth 100."""
    prices = {name: PRICES.get(name, 100.0) * random.uniform(0.97, 1.03) for name in holdings}
    return round(sum(amount * prices[name] for name, amount in holdings.items()), 2)


def main(bot_id: str, config: dict[str, Any]) -> None:
    history = state.get("history", [])
    report = {"at": datetime.now(UTC).isoformat(), "value": value_of(config["holdings"])}
    report["change"] = round(report["value"] - history[-1]["value"], 2) if history else 0.0
    history = [*history, report][-config.get("keep_days", 90) :]
    state.set("history", history)

    log("report", {"bot": bot_id, **report})
    metric("portfolio_value", {"value": report["value"], "change": report["change"]})
    success(f"worth {report['value']:.2f}", {"reports": len(history), **report})
