"""What can be asked about the bot while it runs."""

from typing import Any

from the0 import query, state


@query.handler("/price")
def price(_request: query.QueryRequest) -> dict[str, Any]:
    return {
        "symbol": query.get_config().get("symbol"),
        "price": state.get("price"),
        "ticks": state.get("ticks", 0),
        "alerts": state.get("alerts", 0),
    }


@query.handler("/distance")
def distance(request: query.QueryRequest) -> dict[str, float | None]:
    """How far the price is from `target`, in percent."""
    target, now = float(request.get("target", 0)), state.get("price")
    return {"percent": round((target - now) / now * 100, 3) if now else None}


query.run()
