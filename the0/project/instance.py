"""Instances: the JSON file that makes a custom bot run with one configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from the0.errors import Conflict, InvalidInput
from the0.models import JSON, BotType
from the0.project.schema_process import value_faults
from the0.project.version import parse_version
from the0.schema_fields import demanded, described

PLATFORM_FIELDS = frozenset(
    {
        "catch_up",
        "concurrency",
        "enabled",
        "jitter_sec",
        "name",
        "resources",
        "restart",
        "retries",
        "schedule",
        "start_deadline_sec",
        "stop_grace_sec",
        "timeout_sec",
        "timezone",
        "type",
        "version",
    }
)
"""Fields of an instance that are the platform's: a schema need not describe them."""


def check_instance(instance: JSON, custom: Mapping[str, Any]) -> list[str]:
    """The faults of an instance of `custom` (a bot document's ``custom``), by JSON path.

    Blocks for as long as its schema takes; raises InvalidDocument where that is too long.
    """
    if not isinstance(instance, dict):
        return ["$: an instance is a JSON object"]
    config = custom["config"]
    faults = _reference_faults(instance, config["type"], config["name"], custom["version"])
    schema = config["schema"]["bot"]
    # A schema that knows nothing of them may well rule out what it does not know.
    unknown = PLATFORM_FIELDS - described(schema) - demanded(schema)
    value = {key: item for key, item in instance.items() if key not in unknown}
    return faults + [fault for fault in value_faults(schema, value) if fault not in faults]


def check_update(old_version: str, new_version: str) -> None:
    """Raises Conflict for a step to another major version, InvalidInput for no version at all."""
    try:
        old, new = parse_version(old_version), parse_version(new_version)
    except ValueError as error:
        raise InvalidInput(f"version: {error}") from error
    if old.major != new.major:
        raise Conflict(
            f"version {new_version} is a major step from {old_version}, so its configuration and "
            "state may not fit; deploy it as a new bot, then delete the old one"
        )


def _reference_faults(instance: Mapping[str, Any], kind: str, name: str, version: str) -> list[str]:
    faults = []
    if not isinstance(instance.get("name"), str) or not instance["name"].strip():
        faults.append("$.name: is required: what this instance is called")
    if instance.get("type") != f"{kind}/{name}":
        faults.append(f"$.type: must be '{kind}/{name}', not {instance.get('type')!r}")
    if instance.get("version") != version:
        faults.append(f"$.version: must be '{version}', not {instance.get('version')!r}")
    if kind == BotType.SCHEDULED and not isinstance(instance.get("schedule"), str):
        faults.append("$.schedule: is required: when a scheduled bot runs, like '0 8 * * *'")
    return faults
