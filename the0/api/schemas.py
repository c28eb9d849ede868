"""JSON Schemas (2020-12) of what the control API takes and gives."""

from __future__ import annotations

from typing import Any

JsonSchema = dict[str, Any]


def obj(properties: JsonSchema, required: tuple[str, ...] = ()) -> JsonSchema:
    """An object with these fields and no others."""
    schema: JsonSchema = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    return {**schema, "required": list(required)} if required else schema


def ref(name: str) -> JsonSchema:
    """One of :data:`COMPONENTS`."""
    return {"$ref": f"#/components/schemas/{name}"}


TEXT: JsonSchema = {"type": "string"}
TIME: JsonSchema = {"type": ["string", "null"], "format": "date-time"}
FLAG: JsonSchema = {"type": "boolean"}
COUNT: JsonSchema = {"type": "integer", "minimum": 0}
ANY_OBJECT: JsonSchema = {"type": "object"}
WHATEVER: JsonSchema = {"description": "As the document has it; null where JSON cannot say it."}
NO_QUERY = obj({})

CONFIG: JsonSchema = {
    "type": "object",
    "description": "The instance file: `name`, `type`, `version` and the bot's own fields.",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 200},
        "type": {"type": "string", "pattern": "^(realtime|scheduled)/.+$"},
        "version": {"type": "string", "minLength": 1, "maxLength": 100},
    },
    "required": ["name", "type", "version"],
}

NEW_BOT = obj(
    {
        "config": CONFIG,
        "id": {
            "type": "string",
            "minLength": 1,
            "maxLength": 256,
            "description": "An id of the caller's choice; one is made where none is given.",
        },
        "enabled": {"type": "boolean", "default": True},
    },
    ("config",),
)
CHANGED_BOT = obj({"config": CONFIG}, ("config",))
KEEP = obj({"keep": {"enum": ["local", "stored"]}}, ("keep",))

PURGE_QUERY = obj(
    {
        "purge": {
            "type": "boolean",
            "default": False,
            "description": "Also remove its stored state, once its container is gone.",
        }
    }
)
VERSION_QUERY = obj({"version": {**TEXT, "description": "A certain version; else the newest."}})
LOGS_QUERY = obj(
    {
        "lines": {
            "type": "integer",
            "minimum": 0,
            "maximum": 100_000,
            "default": 100,
            "description": "How many of the last lines; at most 512 KiB of them are given.",
        },
        "follow": {
            "type": "boolean",
            "default": False,
            "description": "Go on with what is written from now on, until the caller leaves.",
        },
        "date": {
            "type": "string",
            "pattern": "^[0-9]{8}$",
            "description": "A UTC day, YYYYMMDD, from storage; else the newest lines.",
        },
    }
)

ERROR = obj(
    {
        "error": obj(
            {
                "code": {**TEXT, "description": "A snake_case word for programs."},
                "message": {**TEXT, "description": "One or two sentences for a person."},
                "faults": {"type": "array", "items": TEXT},
            },
            ("code", "message"),
        )
    },
    ("error",),
)

COMPONENTS: JsonSchema = {
    "Condition": obj(
        {"type": TEXT, "reason": TEXT, "message": TEXT, "since": TIME, "status": FLAG},
        ("type", "reason", "message"),
    ),
    "Status": {
        "type": ["object", "null"],
        "description": "The bot as the runner keeps it; null where the runner never saw it.",
        "properties": {
            "phase": TEXT,
            "container": {"type": ["string", "null"]},
            "started_at": TIME,
            "restarts": COUNT,
            "crashes": COUNT,
            "next_attempt_at": TIME,
            "outdated": FLAG,
            "conditions": {"type": "array", "items": ref("Condition")},
            "last_exit": {"type": ["object", "null"]},
            "exits": {"type": "array", "items": ANY_OBJECT},
        },
    },
    "Bot": {
        "type": "object",
        "properties": {
            "id": TEXT,
            "name": TEXT,
            "type": {"enum": ["realtime", "scheduled"]},
            "custom_bot": TEXT,
            "version": TEXT,
            "enabled": FLAG,
            "status": ref("Status"),
        },
        "required": ["id", "name", "type", "version", "enabled", "status"],
    },
    "CustomBot": {
        "type": "object",
        "properties": {
            "name": TEXT,
            "version": TEXT,
            "type": TEXT,
            "runtime": TEXT,
            "description": TEXT,
            "sha256": TEXT,
            "size": COUNT,
            "createdAt": TIME,
        },
        "required": ["name", "version", "sha256"],
    },
}

CHANGE = obj(
    {
        "id": TEXT,
        "name": TEXT,
        "version": TEXT,
        "applies": {
            "enum": ["at once", "at the next pass"],
            "description": "`at the next pass` where the runner could not be told.",
        },
    },
    ("id", "applies"),
)
LIVE: JsonSchema = {
    "type": "boolean",
    "description": "False where the runner does not answer: what it stored last is shown.",
}
BOT_LIST = obj({"bots": {"type": "array", "items": ref("Bot")}, "live": LIVE}, ("bots", "live"))
BOT_DETAIL: JsonSchema = {
    "allOf": [ref("Bot")],
    "properties": {"config": WHATEVER, "custom": WHATEVER, "live": LIVE},
    "required": ["config", "live"],
}
CUSTOM_BOT_LIST = obj({"custom_bots": {"type": "array", "items": ref("CustomBot")}})
CUSTOM_BOT_DETAIL: JsonSchema = {
    "allOf": [ref("CustomBot")],
    "properties": {"config": ANY_OBJECT, "versions": {"type": "array", "items": TEXT}},
    "required": ["config", "versions"],
}
DEPLOYED = obj(
    {"name": TEXT, "version": TEXT, "sha256": TEXT, "size": COUNT, "unchanged": FLAG},
    ("name", "version", "sha256", "size", "unchanged"),
)
LOG_DAYS = obj({"days": {"type": "array", "items": TEXT}}, ("days",))
PLUGIN_LIST = obj({"plugins": {"type": "array", "items": ANY_OBJECT}}, ("plugins",))
CHECK_LIST = obj({"ok": FLAG, "checks": {"type": "array", "items": ANY_OBJECT}}, ("ok", "checks"))
ROLES: JsonSchema = {
    "type": "object",
    "properties": {"status": TEXT, "roles": ANY_OBJECT},
    "required": ["status"],
}
