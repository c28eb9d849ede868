"""Settings of queries; see :mod:`the0.settings`."""

from __future__ import annotations

from the0.settings_declaration import section, setting
from the0.settings_parsers import seconds


@section("query")
class QuerySettings:
    max_answer_kb: int = setting(
        1024, "Largest answer of a running bot, KiB.", minimum=1, maximum=65536
    )
    at_once: int = setting(
        64, "Queries to running bots under way at the same time.", minimum=1, maximum=4096
    )
    at_once_per_bot: int = setting(16, "Of these, queries to one bot.", minimum=1, maximum=4096)
    waiting: int = setting(
        256,
        "Queries that may wait for their turn; more are refused with 429.",
        minimum=0,
        maximum=65536,
    )
    waiting_per_bot: int = setting(64, "Of these, queries to one bot.", minimum=0, maximum=65536)


@section("query_pool")
class QueryPoolSettings:
    min_waiting: int = setting(
        0,
        "Containers of each runtime that wait for a query even when nobody asks.",
        minimum=0,
        maximum=64,
    )
    max_waiting: int = setting(
        4,
        "Most containers of a runtime that wait for a query; 0 starts one for each query.",
        minimum=0,
        maximum=64,
    )
    idle_sec: float = setting(
        900.0,
        "How long the busiest moment decides how many containers wait.",
        parse=seconds,
        minimum=1,
        maximum=86400,
    )
    state_cache_mb: int = setting(
        1024,
        "Size of the host's cache of bots' state, from which queries are answered, MiB.",
        minimum=1,
    )
    at_once: int = setting(
        8, "Containers that answer queries at the same time.", minimum=1, maximum=256
    )
