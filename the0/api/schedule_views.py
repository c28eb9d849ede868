"""How a scheduled bot is doing, as the API shows it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from the0.core.presentation import INVALID_DOCUMENT
from the0.models import BotSchedule


def schedule_status(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What the scheduler says of a bot, with the phase that follows from it."""
    return {**entry, "phase": _phase(entry)}


def stored_schedule(bot: BotSchedule, running: str | None) -> dict[str, Any]:
    """What its document and its running run say while the scheduler is silent."""
    entry = {
        "id": bot.id,
        "name": bot.name,
        "enabled": bot.enabled,
        "expression": bot.schedule.expression,
        "timezone": bot.schedule.timezone,
        "next": bot.planned.isoformat() if bot.planned and bot.enabled else None,
        "running": running,
        "last": None,
        "conditions": [],
    }
    return schedule_status(entry)


def _phase(entry: Mapping[str, Any]) -> str:
    if entry["running"]:
        return "running"
    if not entry["enabled"]:
        return "disabled"
    if any(one["type"] == INVALID_DOCUMENT and one["status"] for one in entry["conditions"]):
        return "invalid"
    return "waiting" if entry["next"] else "pending"
