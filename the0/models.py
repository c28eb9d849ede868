"""What the platform talks about: frozen values, parsed once where they enter.

A bot document of MongoDB or NATS becomes a :class:`Bot` in `the0.documents`; what an executor
sees becomes :class:`Container`; what `GET /status` shows is :class:`RunningBot`.
Times are aware UTC datetimes, durations seconds, sizes bytes unless a name says otherwise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

JSON = Any
"""A decoded JSON value; integers are exact."""


class BotType(StrEnum):
    REALTIME = "realtime"
    SCHEDULED = "scheduled"


class Purpose(StrEnum):
    """What a container is there for: to be a bot, or to answer one query about some bot."""

    BOT = "bot"
    QUERY = "query"


class RestartPolicy(StrEnum):
    """What an exit that nobody asked for leads to: `always` a restart, `on-failure` one unless the
    code is 0, `never` none until the bot's spec changes or a person enables it again."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"


@dataclass(frozen=True)
class Resources:
    """A container's limits; None takes the site's default."""

    memory_mb: int | None = None
    cpus: float | None = None
    pids: int | None = None
    disk_mb: int | None = None


@dataclass(frozen=True)
class Bot:
    """A bot as its owner wants it (desired state), parsed from its document.

    `config` is the instance's configuration as stored; `code_key` the archive's object key;
    `entrypoints` holds `bot` and perhaps `query`; `updated_at` is `custom.updatedAt` if readable.
    """

    id: str
    type: BotType
    enabled: bool
    config: Mapping[str, JSON]
    name: str
    version: str
    runtime: str
    code_key: str
    entrypoints: Mapping[str, str]
    resources: Resources = Resources()
    restart: RestartPolicy = RestartPolicy.ALWAYS
    stop_grace_sec: float | None = None
    updated_at: datetime | None = None

    @cached_property
    def spec_hash(self) -> str:
        """A versioned hash of all that the bot's owner controls: a difference restarts the bot."""
        owned = {
            "code": [self.code_key, self.version],
            "entrypoints": dict(self.entrypoints),
            "runtime": self.runtime,
            "config": self.config,
        }
        return "v1:" + canonical_hash(owned)


def canonical_hash(value: JSON) -> str:
    """SHA-256 (hex) over the canonical JSON of `value`: keys sorted, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class ContainerState(StrEnum):
    """Where a container stands. UNKNOWN is a value of its own: no start and no removal on it."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Limits:
    """What the executor enforces. `memory_bytes` is memory and swap together; `cpus` a quota of
    cores; `cpu_shares` the relative weight under contention; `tmp_bytes` sizes /tmp and /query."""

    memory_bytes: int
    cpus: float
    cpu_shares: int
    pids: int
    open_files: int
    tmp_bytes: int


@dataclass(frozen=True)
class ContainerSpec:
    """All that an executor needs to create one container; built in `the0.core.launcher`.

    `bot_id` keys the name and the volumes; `env` is the container's own environment (launch id
    and token, nothing else of ours); `gateway_dir` is mounted read-only at /run/the0;
    `stop_timeout_sec` bounds SIGTERM to SIGKILL; `labels` are set as they are, beside the
    executor's own `the0.installation`. A container that answers a query is made before anybody
    knows for which bot: its `bot_id` is empty, its name comes from its launch, and its volumes are
    its own and go with it.
    """

    bot_id: str
    type: BotType
    launch: str
    image: str
    command: Sequence[str]
    env: Mapping[str, str]
    labels: Mapping[str, str]
    limits: Limits
    gateway_dir: str
    stop_timeout_sec: float
    purpose: Purpose = Purpose.BOT


@dataclass(frozen=True)
class Container:
    """A container of this installation as an executor saw it.

    `ref` is the executor's own id; `spec_hash`, `platform_hash`, `launch` and (of a scheduled bot)
    `run` come from its labels; `address` (host, for the query port) is known while it runs. One
    with the purpose QUERY belongs to no bot: its `bot_id` is empty and its `type` says nothing.
    """

    ref: str
    name: str
    bot_id: str
    type: BotType
    state: ContainerState
    launch: str = ""
    run: str = ""
    spec_hash: str = ""
    platform_hash: str = ""
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""
    address: str | None = None
    purpose: Purpose = Purpose.BOT


class ContainerAction(StrEnum):
    STARTED = "started"
    DIED = "died"
    REMOVED = "removed"
    OOM = "oom"


@dataclass(frozen=True)
class ContainerEvent:
    """Something that happened to a container of this installation; a hint to look, never a fact
    to act on alone (events can be lost or late)."""

    action: ContainerAction
    bot_id: str
    ref: str
    at: datetime


class Phase(StrEnum):
    """How far a bot is on its way, as `the0 bot list` shows it."""

    WAITING = "waiting"  # a scheduled bot between two slots
    PENDING = "pending"  # wanted, not started yet (a lane is full, or a dependency holds it back)
    STARTING = "starting"  # container made; the agent fetches code and state
    RUNNING = "running"
    STOPPING = "stopping"
    BACKOFF = "backoff"  # crashed; the next attempt has a time
    FAILED = "failed"  # crashed again and again; still tried, at the longest delay
    ENDED = "ended"  # ended, and its restart policy asks for no more
    DISABLED = "disabled"
    INVALID = "invalid"  # its document cannot be understood
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Condition:
    """A lasting fact about a bot (or the host) that a person should see.

    `type` and `reason` are CamelCase words, `message` a sentence naming the thing and the fix,
    `since` when it became so.
    """

    type: str
    reason: str
    message: str
    since: datetime
    status: bool = True


@dataclass(frozen=True)
class ExitRecord:
    """Why a container ended. `asked_by` is empty for an exit that nobody asked for, else
    `disabled`, `deleted`, `changed`, `user`, `host`, `engine-restart` or `disk`. `code` is the
    bot's exit code (128+n for signal n), None when the bot itself never ended or never started.
    """

    launch: str
    at: datetime
    code: int | None
    reason: str
    asked_by: str = ""
    signal: int | None = None
    oom_killed: bool = False
    peak_memory_bytes: int | None = None
    spec_hash: str = ""
    log_tail: Sequence[str] = ()


@dataclass(frozen=True)
class RunningBot:
    """One bot as the runner keeps it: what `GET /status` and `the0 bot list|show` show.

    `crashes` counts exits in a row that count for backoff (reset after a healthy while),
    `restarts` all restarts ever; `outdated` is true while the container's platform hash differs
    from what a start today would have.
    """

    id: str
    name: str
    type: BotType
    enabled: bool
    phase: Phase
    version: str = ""
    runtime: str = ""
    container: str | None = None
    launch: str | None = None
    started_at: datetime | None = None
    restarts: int = 0
    crashes: int = 0
    next_attempt_at: datetime | None = None
    outdated: bool = False
    conditions: Sequence[Condition] = ()
    last_exit: ExitRecord | None = None
    exits: Sequence[ExitRecord] = field(default=())


# --- schedules ----------------------------------------------------------------------------------


class Concurrency(StrEnum):
    """What becomes of a slot that is due while an earlier run of the bot goes on: `forbid` skips
    it, `replace` stops the run first. Two at once are never an option: they share one state."""

    FORBID = "forbid"
    REPLACE = "replace"


class CatchUp(StrEnum):
    """What becomes of slots that passed while no scheduler was there: `skip` records each as
    missed, `once` starts the newest of them while its start deadline allows."""

    SKIP = "skip"
    ONCE = "once"


@dataclass(frozen=True)
class Schedule:
    """When a bot is due, and how its runs are treated.

    A run starts `jitter` (less than `jitter_sec`, always the same for a bot) after its slot, and
    not later than `start_deadline_sec` after that; it is stopped after `timeout_sec`. A run that
    failed or timed out is tried `retries` times more.
    """

    expression: str
    timezone: str
    concurrency: Concurrency
    catch_up: CatchUp
    start_deadline_sec: float
    timeout_sec: float
    retries: int
    jitter_sec: float


@dataclass(frozen=True, kw_only=True)
class BotSchedule(Bot):
    """A scheduled bot as its owner wants it. `planned` is the document's `next_execution_time`:
    the first slot that nobody has claimed yet, None when none was ever planned."""

    schedule: Schedule
    planned: datetime | None = None


class Trigger(StrEnum):
    """Why there is a run: its slot came, a person asked, or the attempt before it failed."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    RETRY = "retry"


class Outcome(StrEnum):
    """What became of a run. Only the first four have started something; `lost` is a run of which
    nobody can tell any more how it ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    MISSED = "missed"
    LOST = "lost"


@dataclass(frozen=True)
class Run:
    """One attempt at one slot of a scheduled bot, from its claim to its end.

    `id` is the bot's `RUN_ID` (see `the0.core.schedule_times.run_id`); `slot` the due time that it
    is for (for `manual` when it was asked for), `due` when it is to start: the slot and its jitter,
    or the end of the attempt before and its backoff; not later than `deadline`. `owner` is the
    scheduler that looks after it and renews `lease_until`. `cancel` says who asked for its end
    early. `started` is when its container was started, `ended` when that ended, or when it was
    clear that it would not start.
    `outcome` is None until then; `reason` says in words why it is what it is, for each one that
    did not simply succeed. `exit_code` is the bot's (128+n for signal n), `result` its result.json,
    `host` the machine, `log_tail` the last lines of a run that did not succeed.
    """

    id: str
    bot_id: str
    slot: datetime
    attempt: int
    trigger: Trigger
    due: datetime
    deadline: datetime
    timeout_sec: float
    retries: int
    claimed: datetime
    owner: str
    lease_until: datetime | None
    host: str
    version: str = ""
    launch: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    outcome: Outcome | None = None
    reason: str = ""
    cancel: str = ""
    exit_code: int | None = None
    oom_killed: bool = False
    peak_memory_bytes: int | None = None
    result: JSON = None
    conditions: Sequence[Condition] = ()
    log_tail: Sequence[str] = ()
