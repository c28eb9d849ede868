"""The settings of the local host: the user's own, completed by the embedded servers."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from the0.config import Settings
from the0.files import write_atomic
from the0.local.config import USER, LocalConfig
from the0.local.paths import LocalPaths
from the0.plugin.manager import PluginManager
from the0.settings import GeneralSettings, section_fields, section_name

DEFAULT_INSTANCE = "local"

Value = str | int | float | bool | Sequence[str]
Tables = Mapping[str, Mapping[str, Value]]

_SECTION_OF = {"mongo": "mongo", "s3": "minio", "nats": "nats"}


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


def tables(
    given: Settings, paths: LocalPaths, config: LocalConfig, servers: Sequence[str]
) -> Tables:
    """What the host's settings file says, by section; the empty section comes first.

    It holds every setting, so that the host is the same whoever starts it again, from wherever.
    """
    own: dict[str, Mapping[str, Value]] = {
        "": {"instance": config.instance, "state_dir": str(paths.state_dir)},
        "api": {"port": config.api_port, "token": config.api_token},
        "runner": {"stop_bots_on_exit": True},
        **{_SECTION_OF[name]: _address(config, name) for name in servers},
    }
    found = {
        section_name(cls): {name: getattr(values, name) for name in section_fields(cls)}
        for cls, values in given.sections.items()
    }
    return {name: {**found[name], **own.get(name, {})} for name in sorted(found)}


def as_toml(tables: Tables) -> str:
    """`tables` as TOML. A JSON string, without its escapes beyond the basic ones, is a TOML one."""
    lines = ["# Written by `the0 local start`: the settings in effect then."]
    for name, values in tables.items():
        lines += [f"\n[{name}]"] if name else []
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def write_settings(paths: LocalPaths, tables: Tables) -> None:
    """Write the host's settings file (0600)."""
    write_atomic(paths.settings, as_toml(tables).encode())


def differences(paths: LocalPaths, tables: Tables) -> Sequence[str]:
    """The settings, like `limits.memory_mb`, that `tables` has otherwise than the file."""
    text = paths.settings.read_text()
    written, wanted = tomllib.loads(text), tomllib.loads(as_toml(tables))
    before, now = _flat(written), _flat(wanted)
    return sorted(name for name in now if name in before and now[name] != before[name])


def _address(config: LocalConfig, server: str) -> Mapping[str, Value]:
    """The settings that name one of our servers."""
    if server == "mongo":
        return {"uri": config.mongo_uri}
    if server == "nats":
        return {"url": config.nats_url}
    keys = {"access_key": USER, "secret_key": config.s3_secret_key}
    return {"endpoint": config.s3_endpoint, **keys}


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in document.items():
        inner = value if isinstance(value, dict) else {"": value}
        found |= {f"{name}.{key}".rstrip("."): one for key, one in inner.items()}
    return found


def _s3_endpoint(given: Settings, plugins: PluginManager) -> str:
    section = plugins.storages.get("minio").settings
    return str(getattr(given.section(section), "endpoint", "")) if section else ""
