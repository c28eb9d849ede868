"""What can be asked about the reports; runs once for each question."""

from typing import Any

from the0 import query, state


@query.handler("/latest")
def latest(_request: query.QueryRequest) -> dict[str, Any] | None:
    history = state.get("history", [])
    return history[-1] if history else None


@query.handler("/history")
def history(request: query.QueryRequest) -> list[dict[str, Any]]:
    """The last `limit` reports, 10 unless told."""
    limit = max(1, int(request.get("limit", 10)))
    reports: list[dict[str, Any]] = state.get("history", [])
    return reports[-limit:]


query.run()
