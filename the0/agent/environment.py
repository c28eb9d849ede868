"""The environment of a bot's or query's process: what the contract lists, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

from the0.agent.launch import Launch
from the0.agent.paths import Paths

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def process_environment(
    launch: Launch, entrypoint: str, paths: Paths, own: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """The environment for the process of `entrypoint` (`bot` or `query`). `own` is that of the
    container: PATH as the image sets it, and the port of the query server where containers share
    one network."""
    variables = {
        "PATH": own.get("PATH") or _DEFAULT_PATH,
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        **launch.env,
        "TZ": launch.timezone,
        "ID": launch.bot_id,
        "CONFIG": launch.config,
        "BOT_ID": launch.bot_id,
        "BOT_CONFIG": launch.config,
        "BOT_TYPE": "realtime" if launch.kind == "realtime" else "scheduled",
        "STATE_DIR": paths.sdk_state,
        "CODE_MOUNT_DIR": paths.bot.lstrip("/"),
        "SCRIPT_PATH": launch.entrypoints.get(entrypoint, ""),
        "ENTRYPOINT_TYPE": entrypoint,
        "THE0_QUERY_PORT": own.get("THE0_QUERY_PORT") or str(launch.query_port),
    }
    if launch.run_id is not None:
        variables["RUN_ID"] = launch.run_id
    return {**variables, **_query_variables(launch)}


def _query_variables(launch: Launch) -> dict[str, str]:
    if launch.query is None:
        return {}
    named = {
        name: value if isinstance(value, str) else _compact(value)
        for name, value in launch.query.params.items()
    }
    single = {
        f"QUERY_PARAM_{name}": text
        for name, text in named.items()
        if name and "=" not in name and _is_possible(name) and _is_possible(text)
    }
    return {
        "QUERY_PATH": launch.query.path,
        "QUERY_PARAMS": _compact(launch.query.params),
        **single,
    }


def _is_possible(text: str) -> bool:
    """Whether an environment can hold it; QUERY_PARAMS has what it cannot."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), default=dict)
