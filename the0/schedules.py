"""Documents of scheduled bots, parsed into :class:`~the0.models.BotSchedule`.

What their config leaves open has the site's default; what "due" means is the business of the
site's scheduler plugin, which refuses what it does not understand or what never fires.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from the0.config import Settings
from the0.documents import FieldReader, parse_bot, platform_config, refusal
from the0.errors import InvalidDocument, InvalidInput
from the0.models import JSON, Bot, BotSchedule, BotType, CatchUp, Concurrency, Schedule
from the0.plugin.interfaces import PluginArgs, Scheduler
from the0.plugin.manager import PluginManager
from the0.settings import LimitSettings, SchedulerSettings, section_fields

DEFAULT_ZONE = "UTC"


def chosen_scheduler(settings: Settings, plugins: PluginManager) -> Scheduler:
    """The scheduler plugin of this site. Raises PluginError where it is not there."""
    args = PluginArgs(settings.general.instance, "", settings.state_dir.root, settings.sections)
    return plugins.schedulers.get(settings.scheduler.plugin)(args)


def parse_schedule(
    document: Any, limits: LimitSettings, defaults: SchedulerSettings, scheduler: Scheduler
) -> BotSchedule:
    """The scheduled bot that a document describes.

    Raises InvalidDocument with one fault a field, each named by its path.
    """
    faults: list[str] = []
    bot: Bot | None = None
    try:
        bot = parse_bot(document, BotType.SCHEDULED, limits)
    except InvalidDocument as error:
        if not error.faults:
            raise
        faults += error.faults
    config = bot.config if bot else document.get("config")
    if isinstance(config, Mapping):
        reader = FieldReader()
        schedule = _schedule(reader, platform_config(document, config), defaults, scheduler)
        faults += reader.faults
    if faults or bot is None:
        raise InvalidDocument(refusal(document.get("id") or document["_id"]), faults)
    known = {field.name: getattr(bot, field.name) for field in fields(bot)}
    return BotSchedule(**known, schedule=schedule, planned=_planned(document))


def _schedule(
    reader: FieldReader,
    config: Mapping[str, JSON],
    defaults: SchedulerSettings,
    scheduler: Scheduler,
) -> Schedule:
    faults = len(reader.faults)
    expression = reader.text(config, "config.schedule")
    timezone = reader.text(config, "config.timezone", DEFAULT_ZONE)
    if len(reader.faults) == faults:
        try:
            scheduler.validate(expression, timezone)
        except InvalidInput as error:
            reader.faults.append(f"config.schedule: {error.message}")
    retries = reader.number(config, "config.retries", int, *_bounds("retries"))
    return Schedule(
        expression=expression,
        timezone=timezone,
        concurrency=reader.choice(
            config, "config.concurrency", Concurrency, Concurrency(defaults.concurrency)
        ),
        catch_up=reader.choice(config, "config.catch_up", CatchUp, CatchUp(defaults.catch_up)),
        start_deadline_sec=_seconds(
            reader, config, "start_deadline_sec", defaults.start_deadline_sec
        ),
        timeout_sec=_seconds(reader, config, "timeout_sec", defaults.timeout_sec),
        retries=defaults.retries if retries is None else retries,
        jitter_sec=_seconds(reader, config, "jitter_sec", defaults.jitter_sec),
    )


def _seconds(reader: FieldReader, config: Mapping[str, JSON], name: str, default: float) -> float:
    found = reader.duration(config, f"config.{name}", *_bounds(name))
    return default if found is None else found


def _bounds(name: str) -> tuple[float, float]:
    """What a bot may ask for is what the site's default may be."""
    declared = section_fields(SchedulerSettings)[name]
    assert declared.minimum is not None, name
    assert declared.maximum is not None, name
    return declared.minimum, declared.maximum


def _planned(document: Mapping[str, Any]) -> datetime | None:
    value = document.get("next_execution_time")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
