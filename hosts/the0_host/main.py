"""`the0-host`: one role (or all of them) of an installation, as one process."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from pathlib import Path

import click

from the0.config import Settings, bootstrap
from the0.core.leader import Leadership
from the0.errors import InvalidSettings, PluginError, The0Error
from the0.events import LogPublisher
from the0.gateway.service import Gateway
from the0.plugin.interfaces import PluginArgs, Storage
from the0.plugin.manager import PluginManager
from the0.repository import Repository
from the0_host.claiming import Claiming
from the0_host.gateway import GatewayRole
from the0_host.logs import configure_logging
from the0_host.parts import Part, run_parts
from the0_host.runner import Runner
from the0_host.scheduler import Scheduler

ROLES = ("runner", "scheduler", "query", "gateway", "all")
FAILED = 1
BOTS_END_SEC = 900.0

log = logging.getLogger("the0.host")


@click.command()
@click.option("--role", type=click.Choice(ROLES), required=True, help="What this process does.")
@click.option(
    "--settings",
    "files",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A settings file, read after the standard ones; may be given several times.",
)
def main(role: str, files: tuple[Path, ...]) -> None:
    """Run one role of a the0 installation until SIGTERM or SIGINT.

    Bots run on when the host ends (unless runner.stop_bots_on_exit is set) and are adopted by
    the next one. A second signal ends the host at once.
    """
    try:
        settings, plugins = bootstrap(files, for_host=True)
        configure_logging(settings.general)
        for warning in settings.warnings:
            log.warning("%s", warning)
        asyncio.run(serve(role, settings, plugins))
    except The0Error as error:
        click.echo(error.message, err=True)
        known = isinstance(error, InvalidSettings | PluginError)
        sys.exit(error.exit_code if known else FAILED)


async def serve(role: str, settings: Settings, plugins: PluginManager) -> None:
    """Run `role` until a signal. Raises The0Error for what a person has to mend."""
    stop = asyncio.Event()
    _listen_to_signals(stop)
    settings.state_dir.make()
    if role in ("runner", "all") and not await _lead(settings, stop):
        return
    repository = Repository(settings.mongo)
    publisher = LogPublisher(settings.nats)
    storage = _storage(settings, plugins)
    gateway = Gateway(settings, storage, publisher)
    parts = [Part("gateway", GatewayRole(settings, gateway, tcp=role == "gateway").run)]
    if role in ("runner", "all"):
        runner = Runner(Claiming(settings, plugins, repository, storage))
        parts.insert(0, Part("runner", runner.run, BOTS_END_SEC))
    if role in ("scheduler", "all"):
        claiming = Claiming(settings, plugins, repository, storage)
        scheduler = Scheduler(claiming, publisher.alert, tcp=role == "scheduler")
        parts.insert(0, Part("scheduler", scheduler.run))
    if role in ("query", "all"):
        # A runner of its own does not carry the API's modules in its memory.
        from the0.api.service import ControlApi  # noqa: PLC0415
        from the0.queries.ephemeral import EphemeralSite  # noqa: PLC0415
        from the0.queries.service import QueryHandler  # noqa: PLC0415
        from the0_host.query import QueryRole  # noqa: PLC0415

        queries = QueryHandler(EphemeralSite(settings, plugins, repository, storage))
        parts.insert(0, Part("queries", queries.run))
        parts.insert(0, Part("query role", QueryRole(settings, queries, tcp=role == "query").run))
        api = ControlApi(settings, repository, storage, plugins, queries)
        parts.insert(0, Part("control API", api.run))
    try:
        await publisher.start()
        # What is loaded stays: the collector of garbage need not look through it, which would hold
        # up everybody for some 15 ms each time.
        gc.collect()
        gc.freeze()
        await run_parts(parts, stop)
    finally:
        await publisher.close()
        await repository.close()
        storage.close()
    log.info("the host ended")


async def _lead(settings: Settings, stop: asyncio.Event) -> bool:
    """Wait until no other process of this installation acts; False when `stop` came first.

    The lock is given back by the kernel when this process ends.
    """
    lock = Leadership(settings.state_dir.runner_lock)
    if lock.try_acquire():
        return True
    log.info("another host acts for %r; waiting to take over", settings.general.instance)
    acquiring = asyncio.create_task(lock.acquire(), name="leadership")
    stopping = asyncio.create_task(stop.wait(), name="asked to stop")
    await asyncio.wait({acquiring, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (acquiring, stopping):
        task.cancel()
    if acquiring.done():
        await acquiring  # a lock that cannot be had is an error, not the end of the wait
    if lock.held:
        log.info("this host acts for %r now", settings.general.instance)
    return lock.held


def _storage(settings: Settings, plugins: PluginManager) -> Storage:
    cls = plugins.storages.get(settings.storage.plugin)
    root = settings.state_dir.root
    return cls(PluginArgs(settings.general.instance, "", root, settings.sections))


def _listen_to_signals(stop: asyncio.Event) -> None:
    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        log.info("%s: stopping", signal.Signals(number).name)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
