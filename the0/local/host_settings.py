"""The settings of the local host: the user's own, completed by the embedded servers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from the0.config import Settings
from the0.files import write_atomic
from the0.local.config import USER, LocalConfig
from the0.local.paths import LocalPaths
from the0.plugin.manager import PluginManager
from the0.settings import GeneralSettings

DEFAULT_INSTANCE = "local"

Value = str | int | bool
Tables = Mapping[str, Mapping[str, Value]]


def instance_of(given: Settings, remembered: str | None) -> str:
    """The installation's name: what the settings say, else what was remembered, else `local`."""
    named = given.general.instance
    return named if named != GeneralSettings().instance else remembered or DEFAULT_INSTANCE


def embedded(given: Settings, plugins: PluginManager) -> Sequence[str]:
    """The servers that the user's own settings do not name, so that ours are needed."""
    needed = {
        "mongo": not given.mongo.uri,
        "s3": given.storage.plugin == "minio" and not _s3_endpoint(given, plugins),
        "nats": not given.nats.url,
    }
    return [name for name, is_needed in needed.items() if is_needed]


def tables(paths: LocalPaths, config: LocalConfig, servers: Sequence[str]) -> Tables:
    """What the host's settings file says, by section; the empty section comes first."""
    own: dict[str, Mapping[str, Value]] = {
        "mongo": {"uri": config.mongo_uri},
        "s3": {
            "endpoint": config.s3_endpoint,
            "access_key": USER,
            "secret_key": config.s3_secret_key,
        },
        "nats": {"url": config.nats_url},
    }
    section_of = {"s3": "minio"}
    return {
        "": {"instance": config.instance, "state_dir": str(paths.state_dir)},
        "api": {"port": config.api_port, "token": config.api_token},
        "runner": {"stop_bots_on_exit": True},
        **{section_of.get(name, name): own[name] for name in servers},
    }


def as_toml(tables: Tables) -> str:
    """`tables` as TOML. A JSON string, without its escapes beyond the basic ones, is a TOML one."""
    lines = ["# Written by `the0 local start`, anew each time."]
    for name, values in tables.items():
        lines += [f"\n[{name}]"] if name else []
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def write_settings(paths: LocalPaths, config: LocalConfig, servers: Sequence[str]) -> bool:
    """Write the host's settings file (0600); whether that changed anything."""
    text = as_toml(tables(paths, config, servers)).encode()
    changed = not paths.settings.exists() or paths.settings.read_bytes() != text
    if changed:
        write_atomic(paths.settings, text)
    return changed


def _s3_endpoint(given: Settings, plugins: PluginManager) -> str:
    section = plugins.storages.get("minio").settings
    return str(getattr(given.section(section), "endpoint", "")) if section else ""
