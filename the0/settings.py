"""Every setting, declared once.

A section is a frozen dataclass whose fields are made with :func:`setting`; the declaration feeds
the loader (`the0.config`), `--help`, docs/settings.md and settings.toml. Plugins declare
their own section in the same way and name it in their class's `settings`.
"""

from __future__ import annotations

from the0.settings_declaration import (
    Declaration,
    section,
    section_fields,
    section_name,
    setting,
)
from the0.settings_parsers import (
    absolute_path,
    address,
    addresses,
    api_token,
    bucket,
    database_name,
    instance_name,
    mongo_uri,
    nats_url,
    seconds,
)
from the0.settings_queries import QueryPoolSettings, QuerySettings

__all__ = [
    "Declaration",
    "QueryPoolSettings",
    "QuerySettings",
    "seconds",
    "section",
    "section_fields",
    "section_name",
    "setting",
]


@section("")
class GeneralSettings:
    instance: str = setting(
        "the0",
        "Name of this installation on its Docker host: letters, digits and dashes, at most 24.",
        env=("THE0_INSTANCE",),
        parse=instance_name,
    )
    state_dir: str = setting(
        "",
        "State directory; empty means /var/lib/the0/<instance> for root, else ~/.the0/<instance>.",
        parse=absolute_path,
    )
    log_level: str = setting(
        "info",
        "How much the host logs.",
        choices=("debug", "info", "warning", "error"),
    )
    log_format: str = setting("text", "Form of the host's log lines.", choices=("text", "json"))


@section("plugins")
class PluginSettings:
    allow: tuple[str, ...] = setting(
        (), "Distributions whose plugins are loaded; empty means all that are installed."
    )
    block: tuple[str, ...] = setting(
        (), "Distributions whose plugins are never loaded; wins over allow."
    )
    load_sec: float = setting(
        30.0,
        "How long a plugin may take to be imported; one that takes longer is set aside.",
        parse=seconds,
        minimum=0.1,
        maximum=600,
    )


@section("mongo")
class MongoSettings:
    uri: str = setting(
        "",
        "MongoDB connection string; required by the host.",
        env=("MONGO_URI",),
        parse=mongo_uri,
        secret=True,
        required=True,
    )
    timeout_sec: float = setting(
        5.0, "Time-out of one call to MongoDB.", parse=seconds, minimum=0.5, maximum=60
    )
    platform_database: str = setting(
        "the0",
        "Database of the platform's own records (status, exits, custom bots).",
        parse=database_name,
    )


@section("nats")
class NatsSettings:
    url: str = setting(
        "",
        "NATS server; empty means none: changes then take effect at the next pass.",
        env=("NATS_URL",),
        parse=nats_url,
        secret=True,
    )


@section("storage")
class StorageSettings:
    plugin: str = setting("minio", "Name of the storage plugin.")
    timeout_sec: float = setting(
        60.0, "Time-out of one call to the store.", parse=seconds, minimum=1, maximum=600
    )
    code_bucket: str = setting(
        "custom-bots", "Bucket of code archives.", env=("MINIO_CODE_BUCKET",), parse=bucket
    )
    state_bucket: str = setting(
        "bot-state", "Bucket of bot state.", env=("MINIO_STATE_BUCKET",), parse=bucket
    )
    logs_bucket: str = setting(
        "bot-logs", "Bucket of bot logs.", env=("MINIO_LOGS_BUCKET",), parse=bucket
    )
    query_results_bucket: str = setting(
        "query-results",
        "Bucket of query results.",
        env=("MINIO_QUERY_RESULTS_BUCKET",),
        parse=bucket,
    )


@section("executor")
class ExecutorSettings:
    plugin: str = setting("docker", "Name of the executor plugin.")
    timeout_sec: float = setting(
        60.0, "Time-out of one call to the engine.", parse=seconds, minimum=1, maximum=600
    )


@section("limits")
class LimitSettings:
    memory_mb: int = setting(
        512,
        "Memory and swap of a bot's container, MiB.",
        env=("BOT_MEMORY_LIMIT_MB",),
        minimum=32,
    )
    cpus: float = setting(1.0, "CPU quota of a bot, in cores.", minimum=0.05)
    cpu_shares: int = setting(
        512, "Weight under CPU contention.", env=("BOT_CPU_SHARES",), minimum=2, maximum=262144
    )
    pids: int = setting(256, "Processes and threads of a bot.", minimum=16)
    open_files: int = setting(1024, "Open files of each process.", minimum=64)
    disk_mb: int = setting(1024, "Disk of a bot: code, state and logs together, MiB.", minimum=16)
    tmp_mb: int = setting(64, "Size of /tmp and of /query, each in memory, MiB.", minimum=1)
    max_memory_mb: int = setting(
        4096, "Most memory a bot's own config may ask for, MiB.", minimum=32
    )
    max_cpus: float = setting(2.0, "Most CPU a bot's own config may ask for.", minimum=0.05)
    max_pids: int = setting(1024, "Most processes a bot's own config may ask for.", minimum=16)
    max_disk_mb: int = setting(10240, "Most disk a bot's own config may ask for, MiB.", minimum=16)


@section("runner")
class RunnerSettings:
    reconcile_interval_sec: float = setting(
        30.0,
        "Time between two passes over all bots.",
        env=("RECONCILE_INTERVAL",),
        parse=seconds,
        minimum=1,
        maximum=3600,
    )
    starts_at_once: int = setting(4, "Container starts in flight.", minimum=1, maximum=64)
    stop_grace_sec: float = setting(
        30.0,
        "Time between SIGTERM and SIGKILL for a bot that does not set its own.",
        parse=seconds,
        minimum=0,
        maximum=600,
    )
    stop_bots_on_exit: bool = setting(
        False, "Stop all bots when the host ends. Otherwise they run on and are adopted."
    )
    backoff_initial_sec: float = setting(
        1.0, "First delay after a crash; doubles each time.", parse=seconds, minimum=0.1, maximum=60
    )
    backoff_max_sec: float = setting(
        300.0, "Longest delay between two attempts.", parse=seconds, minimum=1, maximum=86400
    )
    healthy_after_sec: float = setting(
        600.0,
        "A bot that ran this long has its crash count reset.",
        parse=seconds,
        minimum=1,
        maximum=86400,
    )
    min_free_disk_mb: int = setting(
        1024, "Below this free disk nothing new is started, MiB.", minimum=0
    )
    exits_kept: int = setting(20, "Exit records kept per bot.", minimum=1, maximum=1000)


@section("sync")
class SyncSettings:
    interval_sec: float = setting(
        60.0,
        "Time between two full hashes of a bot's state.",
        parse=seconds,
        minimum=1,
        maximum=3600,
    )
    min_interval_sec: float = setting(
        5.0, "Least time between two uploads of state.", parse=seconds, minimum=0.5, maximum=3600
    )
    final_sec: float = setting(
        20.0, "Time for the last sync when a bot ends.", parse=seconds, minimum=1, maximum=600
    )
    max_state_mb: int = setting(
        8192, "Largest state of one bot, MiB.", env=("MAX_STATE_SIZE_MB",), minimum=1
    )
    max_file_mb: int = setting(
        10, "Largest file in a bot's state, MiB.", env=("MAX_STATE_FILE_SIZE_MB",), minimum=1
    )


@section("logs")
class LogSettings:
    local_mb: int = setting(10, "Size of a bot's log file in its container, MiB.", minimum=1)
    local_files: int = setting(2, "Log files kept in the container.", minimum=1, maximum=20)
    upload_interval_sec: float = setting(
        60.0,
        "Least time between two uploads of a day's log.",
        parse=seconds,
        minimum=1,
        maximum=3600,
    )
    day_max_mb: int = setting(
        256,
        "Largest log of one bot and day in storage, MiB; more is dropped and counted.",
        minimum=1,
    )
    spool_days: int = setting(7, "Days that a day's log stays in the host's spool.", minimum=1)
    rate_kb: int = setting(
        1024, "Log bytes a second that one bot may send on average, KiB.", minimum=1
    )


@section("archive")
class ArchiveSettings:
    max_entries: int = setting(20000, "Most files and folders in a code archive.", minimum=1)
    max_mb: int = setting(1024, "Most bytes of an unpacked code archive, MiB.", minimum=1)
    max_ratio: int = setting(200, "Largest ratio of unpacked to packed bytes.", minimum=2)
    max_sec: float = setting(
        60.0, "Longest time that unpacking may take.", parse=seconds, minimum=1, maximum=600
    )
    code_cache_mb: int = setting(4096, "Size of the host's cache of code archives, MiB.", minimum=1)


@section("egress")
class EgressSettings:
    allow: tuple[str, ...] = setting(
        (),
        "Addresses that bots may reach although private: `10.1.2.0/24` or `10.1.2.3:443`.",
        parse=addresses,
    )


@section("api")
class ApiSettings:
    host: str = setting(
        "127.0.0.1", "Address of the control API and the query server.", parse=address
    )
    port: int = setting(
        9477, "Port of the control API and the query server.", minimum=1, maximum=65535
    )
    token: str = setting(
        "",
        "Token of the control API; empty means <state dir>/api.token, made at the first start.",
        parse=api_token,
        secret=True,
    )


@section("scheduler")
class SchedulerSettings:
    plugin: str = setting("cron", "Name of the scheduler plugin, which says when bots are due.")
    concurrency: str = setting(
        "forbid",
        "What a slot does while an earlier run of its bot goes on: it is skipped, or ends that.",
        choices=("forbid", "replace"),
    )
    catch_up: str = setting(
        "skip",
        "Slots that passed while no scheduler was there: all skipped, or the newest started once.",
        choices=("skip", "once"),
    )
    start_deadline_sec: float = setting(
        300.0,
        "How long after it was due a run may still be started.",
        parse=seconds,
        minimum=1,
        maximum=86400,
    )
    timeout_sec: float = setting(
        86400.0,
        "How long a run may take before it is stopped.",
        parse=seconds,
        minimum=1,
        maximum=2592000,
    )
    retries: int = setting(
        0, "Further attempts at a run that failed or timed out.", minimum=0, maximum=100
    )
    jitter_sec: float = setting(
        0.0,
        "Runs start up to this long after their slot, each bot always at the same moment.",
        parse=seconds,
        minimum=0,
        maximum=86400,
    )
    retry_initial_sec: float = setting(
        10.0,
        "Delay before the second attempt; doubles each time.",
        parse=seconds,
        minimum=0.1,
        maximum=3600,
    )
    retry_max_sec: float = setting(
        600.0, "Longest delay between two attempts.", parse=seconds, minimum=1, maximum=86400
    )
    starts_at_once: int = setting(
        4, "Container starts of one scheduler in flight.", minimum=1, maximum=64
    )
    reread_interval_sec: float = setting(
        10.0, "Time between two reads of all schedules.", parse=seconds, minimum=1, maximum=3600
    )
    lease_sec: float = setting(
        15.0,
        "A scheduler that does not renew for this long loses its runs to another.",
        parse=seconds,
        minimum=1,
        maximum=600,
    )
    warn_after_failures: int = setting(
        3, "A warning event follows so many failures of a bot in a row.", minimum=1, maximum=1000
    )
    runs_kept: int = setting(
        200,
        "Records of runs kept per bot; of the last day each run has one.",
        minimum=1,
        maximum=100000,
    )
    runs_kept_days: int = setting(
        90, "Days that records of runs are kept.", minimum=1, maximum=3650
    )


@section("metrics")
class MetricsSettings:
    host: str = setting(
        "127.0.0.1", "Address for health, status and metrics of this role.", parse=address
    )
    port: int = setting(
        0,
        "TCP port for health, status and metrics; 0 means only the Unix socket.",
        minimum=0,
        maximum=65535,
    )


CORE_SECTIONS: tuple[type, ...] = (
    GeneralSettings,
    PluginSettings,
    MongoSettings,
    NatsSettings,
    StorageSettings,
    ExecutorSettings,
    LimitSettings,
    RunnerSettings,
    SchedulerSettings,
    SyncSettings,
    LogSettings,
    ArchiveSettings,
    EgressSettings,
    ApiSettings,
    QuerySettings,
    QueryPoolSettings,
    MetricsSettings,
)

IGNORED_ENV: tuple[str, ...] = ("MINIO_CONTAINER_ENDPOINT", "DOCKER_NETWORK")
"""Variables of the predecessor that are accepted with one warning and have no effect."""
