"""JSON Schemas (2020-12) of what the control API takes and gives."""

from __future__ import annotations

from typing import Any

from the0.models import BotType, Outcome, Trigger

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
DISABLE_QUERY = obj(
    {
        "stop_running": {
            "type": "boolean",
            "default": False,
            "description": "Of a scheduled bot also cancel the run that goes on; without, it ends "
            "by itself. A realtime one is stopped in any case.",
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

RUNS_QUERY = obj(
    {
        "bot": {**TEXT, "minLength": 1, "description": "The id of a bot; else of all bots."},
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 20},
        "before": {
            **TEXT,
            "format": "date-time",
            "description": "Only runs of slots before this time; without an offset it is UTC.",
        },
        "after": {
            **TEXT,
            "description": "The `id` of a page's last run: only what follows it. Unlike a time "
            "it leaves out nothing where several runs have one slot.",
        },
    }
)
RUN_LOGS_QUERY = obj({"lines": LOGS_QUERY["properties"]["lines"]})

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
        "description": "The bot as the role that runs it keeps it; null where that never saw it.",
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
            "schedule": {**TEXT, "description": "From here on: of scheduled bots only."},
            "timezone": TEXT,
            "next_due": {**TIME, "description": "The next slot."},
            "running": {"type": ["string", "null"], "description": "The run that goes on."},
            "last_run": {"anyOf": [ref("Run"), {"type": "null"}]},
        },
    },
    "Run": {
        "type": "object",
        "description": "One attempt at one slot of a scheduled bot.",
        "properties": {
            "id": {**TEXT, "description": "RUN_ID in the bot's environment."},
            "bot_id": TEXT,
            "slot": {**TIME, "description": "The due time that it is for."},
            "attempt": {"type": "integer", "minimum": 1},
            "trigger": {"enum": list(Trigger)},
            "due": {**TIME, "description": "When it was to start: jitter and backoff included."},
            "claimed": TIME,
            "started": TIME,
            "ended": TIME,
            "outcome": {"enum": [*Outcome, None], "description": "null until it has ended."},
            "reason": {**TEXT, "description": "Why, for each that did not simply succeed."},
            "exit_code": {"type": ["integer", "null"]},
            "oom_killed": FLAG,
            "peak_memory_bytes": {"type": ["integer", "null"]},
            "result": {"description": "The bot's result.json."},
            "host": TEXT,
            "log_tail": {"type": "array", "items": TEXT},
        },
        "required": ["id", "bot_id", "slot", "attempt", "trigger", "outcome"],
    },
    "Bot": {
        "type": "object",
        "properties": {
            "id": TEXT,
            "name": TEXT,
            "type": {"enum": list(BotType)},
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
        "type": {"enum": list(BotType)},
        "name": TEXT,
        "version": TEXT,
        "applies": {
            "enum": ["at once", "at the next pass"],
            "description": "`at the next pass` where the runner could not be told.",
        },
    },
    ("id", "type", "applies"),
)
LIVE: JsonSchema = {
    "type": "boolean",
    "description": "False where a role in `silent` does not answer: what is stored is shown.",
}
SILENT: JsonSchema = {"type": "array", "items": {"enum": ["runner", "scheduler"]}}
BOT_LIST = obj(
    {"bots": {"type": "array", "items": ref("Bot")}, "live": LIVE, "silent": SILENT},
    ("bots", "live", "silent"),
)
BOT_DETAIL: JsonSchema = {
    "allOf": [ref("Bot")],
    "properties": {
        "config": WHATEVER,
        "custom": WHATEVER,
        "live": LIVE,
        "silent": SILENT,
        "runs": {
            "type": "array",
            "items": ref("Run"),
            "description": "Of a scheduled bot: the newest first.",
        },
    },
    "required": ["config", "live", "silent"],
}
RUN_LIST = obj({"runs": {"type": "array", "items": ref("Run")}}, ("runs",))
RUN_TOLD = obj({"run": {**TEXT, "description": "The run's id."}}, ("run",))
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
