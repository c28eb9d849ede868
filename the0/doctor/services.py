"""MongoDB, object storage and NATS: does each answer with the credentials that are set."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing

import nats
from nats.errors import Error as NatsError

from the0.config import Settings
from the0.doctor.check import Check, fail, ok, said, warn
from the0.errors import The0Error
from the0.plugin.interfaces import PluginArgs
from the0.plugin.manager import PluginManager
from the0.repository import Repository
from the0.settings_values import mask

NATS_TIMEOUT_SEC = 5.0
LOCAL = "For one machine, `the0 local start` brings it up."


def check_mongo(settings: Settings) -> Check:
    if not settings.mongo.uri:
        return fail("mongodb", "None is set.", f"Set MONGO_URI. {LOCAL}")
    return _asked("mongodb", lambda: asyncio.run(_ping_mongo(settings)), "MONGO_URI")


def check_storage(settings: Settings, plugins: PluginManager) -> Check:
    return _asked(
        "storage", lambda: _ping_storage(settings, plugins), "MINIO_ENDPOINT and its keys"
    )


def check_nats(settings: Settings) -> Check:
    if not settings.nats.url:
        every = settings.runner.reconcile_interval_sec
        message = f"None is set: changes take effect within {every:g} s, logs are not published."
        return warn("nats", message, "Set NATS_URL if changes shall take effect at once.")
    try:
        asyncio.run(_ping_nats(settings.nats.url))
    except (NatsError, OSError, TimeoutError, ValueError) as error:
        where, why = mask(settings.nats.url), str(error) or type(error).__name__
        message = f"{where} does not answer: {why}. Bots run on without it."
        return warn("nats", message, "Start it, or correct NATS_URL.")
    return ok("nats", "It answers.")


def _asked(name: str, ping: Callable[[], None], variables: str) -> Check:
    try:
        ping()
    except The0Error as error:
        return fail(name, said(error), f"Start it, or correct {variables}. {LOCAL}")
    return ok(name, "It answers.")


async def _ping_mongo(settings: Settings) -> None:
    repository = Repository(settings.mongo)
    try:
        await repository.ping()
    finally:
        await repository.close()


def _ping_storage(settings: Settings, plugins: PluginManager) -> None:
    chosen = plugins.storages.get(settings.storage.plugin)
    root = settings.state_dir.root
    args = PluginArgs(settings.general.instance, "", root, settings.sections)
    with closing(chosen(args)) as storage:
        storage.ping()


async def _ping_nats(url: str) -> None:
    """Raises what the first attempt failed of; the client itself would try for two minutes."""
    failures: list[Exception] = []

    async def note(error: Exception) -> None:
        failures.append(error)

    try:
        async with asyncio.timeout(NATS_TIMEOUT_SEC):
            connection = await nats.connect(
                url, max_reconnect_attempts=1, reconnect_time_wait=0.1, error_cb=note
            )
    except (TimeoutError, NatsError):
        if failures:
            raise failures[0] from None
        raise
    await connection.close()
