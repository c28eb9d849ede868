"""Scheduled bots as they are shown. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from the0.core.plan import Invalid
from the0.core.presentation import INVALID_DOCUMENT
from the0.core.views import run_json
from the0.models import BotSchedule, BotType, Phase, Run

LARGE = ("result", "log_tail")


def scheduled_bot_json(
    bot_id: str,
    wanted: BotSchedule | Invalid,
    next_due: datetime | None,
    running: Run | None,
    last: Run | None,
) -> dict[str, Any]:
    """One bot of `GET /status`: what `the0 bot list` shows."""
    bot = wanted if isinstance(wanted, BotSchedule) else None
    return {
        "id": bot_id,
        "name": bot.name if bot else bot_id,
        "type": BotType.SCHEDULED.value,
        "enabled": wanted.enabled,
        "phase": _phase(wanted, running).value,
        "version": bot.version if bot else "",
        "runtime": bot.runtime if bot else "",
        "schedule": bot.schedule.expression if bot else "",
        "timezone": bot.schedule.timezone if bot else "",
        "next_due": next_due.isoformat() if next_due else None,
        "running": running.id if running else None,
        "last_run": _short(last) if last else None,
        "conditions": _conditions(wanted, last),
    }


def _short(run: Run) -> dict[str, Any]:
    return {name: value for name, value in run_json(run).items() if name not in LARGE}


def _phase(wanted: BotSchedule | Invalid, running: Run | None) -> Phase:
    if running is not None:
        return Phase.RUNNING if running.started else Phase.STARTING
    if not wanted.enabled:
        return Phase.DISABLED
    return Phase.INVALID if isinstance(wanted, Invalid) else Phase.WAITING


def _conditions(wanted: BotSchedule | Invalid, last: Run | None) -> list[dict[str, Any]]:
    found = run_json(last)["conditions"] if last else []
    if isinstance(wanted, Invalid):
        found = [
            *found,
            {
                "type": INVALID_DOCUMENT,
                "reason": "NotUnderstood",
                "message": wanted.message,
                "since": None,
                "status": True,
            },
        ]
    return found
