"""From a bot to what starts it: the launch that its agent fetches, and the container's spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from the0.config import Settings
from the0.core.images import Image
from the0.core.tracked import FLUSH_SPEC
from the0.documents import config_json
from the0.launches import Launch, LaunchKind
from the0.models import (
    Bot,
    BotType,
    ContainerSpec,
    Limits,
    Purpose,
    Resources,
    canonical_hash,
)
from the0.plugin.interfaces import ProcessPlan

COMMAND = ("/app/runtime", "execute")
QUERY_PORT = 9476
FLUSH_MARGIN_SEC = 5.0
FLUSH_SEC = 500.0
"""How long storing what a volume holds may take: nobody waits for it, and what the final sync was
too short for would never be stored in as short a time. Less than `plan.FLUSH_MAX`."""
MIB = 1 << 20

SPEC_LABEL, PLATFORM_LABEL = "the0.spec", "the0.platform"
LAUNCH_LABEL, RUN_LABEL = "the0.launch", "the0.run"


@dataclass(frozen=True)
class Prepared:
    """A launch to be written before its container is created."""

    launch: Launch
    spec: ContainerSpec


class Launcher:
    """Builds launches for one installation. Pure but for the random launch id and token."""

    def __init__(self, settings: Settings, installation: str) -> None:
        self._settings = settings
        self._installation = installation
        self._defaults = canonical_hash(_site_defaults(settings))

    def platform_hash(self, image: Image) -> str:
        """A versioned hash of what the site controls: the image (agent included) and defaults."""
        return "v1:" + canonical_hash([image.identity, self._defaults])

    def prepare(
        self,
        bot: Bot,
        plan: ProcessPlan,
        image: Image,
        state_keep: str | None = None,
        run_id: str | None = None,
    ) -> Prepared:
        """A launch of `bot`. `state_keep` hands on a person's answer to a StateConflict, `run_id`
        says which run of a scheduled bot it is."""
        grace = self._grace(bot)
        kept = {"state": {"keep": state_keep}, "run_id": run_id}
        kind: LaunchKind = "realtime" if bot.type is BotType.REALTIME else "scheduled"
        launch, token = self._launch(
            bot.id, kind, bot.code_key, {**self._document(bot, plan), **kept}
        )
        main = bot.entrypoints["bot"]
        purpose = _Purpose(bot.type, main, bot.spec_hash, bot.resources, grace, run_id)
        return Prepared(launch, self._spec(launch, token, image, purpose))

    def prepare_flush(
        self, bot_id: str, type: BotType, image: Image, state_keep: str | None = None
    ) -> Prepared:
        """A launch that runs no code of the bot and only stores what its volume holds."""
        common = self._common(Resources())
        sync = {**common["sync"], "final_sec": FLUSH_SEC}
        document = {**common, "sync": sync, "state": {"keep": state_keep}}
        launch, token = self._launch(bot_id, "flush", "", document)
        purpose = _Purpose(type, "", FLUSH_SPEC, Resources(), 0.0)
        return Prepared(launch, self._spec(launch, token, image, purpose))

    def prepare_query(self, image: Image, resources: Resources) -> Prepared:
        """A launch that waits for one query about a bot that is not known yet."""
        launch, token = Launch.waiting(self._installation)
        purpose = _Purpose(BotType.SCHEDULED, "", "", resources, 0.0)
        spec = self._spec(launch, token, image, purpose)
        labels = {name: spec.labels[name] for name in (PLATFORM_LABEL, LAUNCH_LABEL)}
        return Prepared(launch, replace(spec, purpose=Purpose.QUERY, labels=labels))

    def query_document(
        self, bot: Bot, plan: ProcessPlan, query: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """What a waiting launch becomes when it is to answer `query` (of docs/gateway.md)."""
        return {**self._document(bot, plan), "stop_grace_sec": 0.0, "query": dict(query)}

    def stop_timeout(self, grace_sec: float) -> float:
        """From SIGTERM to SIGKILL of a whole container: grace, final sync, and a margin."""
        return grace_sec + self._settings.sync.final_sec + FLUSH_MARGIN_SEC

    def _grace(self, bot: Bot) -> float:
        own = bot.stop_grace_sec
        return self._settings.runner.stop_grace_sec if own is None else own

    def _launch(
        self, bot_id: str, kind: LaunchKind, code_key: str, document: Mapping[str, Any]
    ) -> tuple[Launch, str]:
        return Launch.new(
            installation=self._installation,
            bot_id=bot_id,
            kind=kind,
            code_key=code_key,
            document=document,
        )

    def _document(self, bot: Bot, plan: ProcessPlan) -> dict[str, Any]:
        return {
            **self._common(bot.resources),
            "config": config_json(bot.config),
            "entrypoints": dict(bot.entrypoints),
            "commands": _commands(plan),
            "executables": list(plan.executables),
            "env": dict(plan.env),
            "stop_grace_sec": self._grace(bot),
        }

    def _common(self, resources: Resources) -> dict[str, Any]:
        sync, logs, archive = self._settings.sync, self._settings.logs, self._settings.archive
        limits = self._settings.limits
        return {
            "timezone": "UTC",
            "run_id": None,
            "query": None,
            "query_port": QUERY_PORT,
            "sync": {
                "interval_sec": sync.interval_sec,
                "min_interval_sec": sync.min_interval_sec,
                "final_sec": sync.final_sec,
                "max_state_bytes": sync.max_state_mb * MIB,
                "max_file_bytes": sync.max_file_mb * MIB,
                "store_sec": self._settings.storage.timeout_sec,
            },
            "logs": {"max_bytes": logs.local_mb * MIB, "files": logs.local_files},
            "archive": {
                "max_entries": archive.max_entries,
                "max_bytes": archive.max_mb * MIB,
                "max_ratio": archive.max_ratio,
                "max_sec": archive.max_sec,
            },
            "disk_bytes": (resources.disk_mb or limits.disk_mb) * MIB,
        }

    def _limits(self, resources: Resources) -> Limits:
        site = self._settings.limits
        return Limits(
            memory_bytes=(resources.memory_mb or site.memory_mb) * MIB,
            cpus=resources.cpus or site.cpus,
            cpu_shares=site.cpu_shares,
            pids=resources.pids or site.pids,
            open_files=site.open_files,
            tmp_bytes=site.tmp_mb * MIB,
        )

    def _spec(self, launch: Launch, token: str, image: Image, purpose: _Purpose) -> ContainerSpec:
        labels = {
            "runtime.managed": "true",
            "runtime.id": launch.bot_id,
            "runtime.type": purpose.type.value,
            "runtime.entrypoint": purpose.entrypoint,
            SPEC_LABEL: purpose.spec_hash,
            PLATFORM_LABEL: self.platform_hash(image),
            LAUNCH_LABEL: launch.launch,
        }
        if purpose.run_id is not None:
            labels[RUN_LABEL] = purpose.run_id
        return ContainerSpec(
            bot_id=launch.bot_id,
            type=purpose.type,
            launch=launch.launch,
            image=image.tag,
            command=COMMAND,
            env={"THE0_LAUNCH": launch.launch, "THE0_TOKEN": token},
            labels=labels,
            limits=self._limits(purpose.resources),
            gateway_dir=str(self._settings.state_dir.gateway_dir),
            stop_timeout_sec=self.stop_timeout(purpose.grace_sec),
        )


@dataclass(frozen=True)
class _Purpose:
    """What differs between the containers that we start."""

    type: BotType
    entrypoint: str
    spec_hash: str
    resources: Resources
    grace_sec: float
    run_id: str | None = None


def _commands(plan: ProcessPlan) -> dict[str, list[str]]:
    commands = {"bot": list(plan.bot)}
    if plan.query is not None:
        commands["query"] = list(plan.query)
    return commands


def _site_defaults(settings: Settings) -> list[Any]:
    logs = settings.logs
    return [
        vars(settings.limits),
        vars(settings.sync),
        vars(settings.archive),
        [logs.local_mb, logs.local_files, settings.runner.stop_grace_sec],
    ]
