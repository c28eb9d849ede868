"""`the0 local start`: idempotent, and a start that fails leaves nothing running behind."""

from __future__ import annotations

import asyncio
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from the0.config import bootstrap
from the0.core.images import ensure_images
from the0.errors import Conflict, Unavailable
from the0.local import config as local_config
from the0.local import supervision
from the0.local.client import Client, write_client
from the0.local.config import LocalConfig, is_free
from the0.local.host_settings import (
    differences,
    embedded,
    instance_of,
    tables,
    write_settings,
)
from the0.local.paths import LocalPaths
from the0.local.processes import HOST
from the0.local.provision import provision_mongo, provision_nats
from the0.local.site import Site, alone, remember_installation
from the0.plugin.interfaces import Progress
from the0.settings_sources import without_settings

READY_TIMEOUT_SEC = 60.0
READY_POLL_SEC = 0.2


def start(progress: Progress, environ: Mapping[str, str] = os.environ) -> Client:
    """Bring up the embedded servers, the images and the host; returns where its API is.

    What runs already stays as it is, with its settings; those that are otherwise now are told.
    Raises The0Error; whatever this very call started is stopped again then.
    """
    paths = LocalPaths.of(environ)
    with alone(paths):
        config, servers = _settle(paths, progress, environ)
        site = Site.load(paths)
        with site.executor() as executor:
            engine = executor.info()
        progress.step(f"Container engine {engine.version} answers")
        for warning in engine.warnings:
            progress.step(f"  {warning}")
        apart = without_settings(environ, site.settings.sections)
        starting = _Starting(paths, config, servers, apart, progress)
        with _stopped_on_failure(paths):
            starting.servers_first()
            with site.executor() as executor:
                ensure_images(executor, site.runtimes(), progress)
                remember_installation(paths, site.claim(executor.info().id))
            starting.host()
        client = Client(config.api_url, config.api_token)
        write_client(paths, client)
        return client


def _settle(
    paths: LocalPaths, progress: Progress, environ: Mapping[str, str]
) -> tuple[LocalConfig, Sequence[str]]:
    """What to run, and the embedded servers it takes; written down unless a host runs."""
    given, plugins = bootstrap(environ=environ)
    # Before anything is written: a stop would miss them too.
    plugins.executors.get(given.executor.plugin)
    plugins.storages.get(given.storage.plugin)
    remembered = local_config.load(paths.config).instance if paths.config.exists() else None
    config = local_config.load_or_create(paths.config, instance_of(given, remembered))
    own = local_config.with_own_api(config, given.api)
    servers = embedded(given, plugins)
    wanted = tables(given, paths, own, servers)
    if supervision.look(paths).runs(HOST):
        if names := differences(paths, wanted):
            progress.step(
                f"It runs with other settings than those of now: {', '.join(names)}. To have "
                "these take effect: the0 local stop, then the0 local start"
            )
        return config, supervision.wanted_servers(paths)
    write_settings(paths, wanted)
    return local_config.remember(paths.config, own), servers


@contextmanager
def _stopped_on_failure(paths: LocalPaths) -> Iterator[None]:
    """Ends the supervisor when the block fails, unless it ran before."""
    ran_before = supervision.look(paths).pid is not None
    try:
        yield
    except BaseException:
        if not ran_before:
            supervision.end(paths)
        raise


@dataclass(frozen=True)
class _Starting:
    """What is to run, and the environment of the supervisor that runs it."""

    paths: LocalPaths
    config: LocalConfig
    servers: Sequence[str]
    environ: Mapping[str, str]
    progress: Progress

    def servers_first(self) -> None:
        """Have the embedded servers running; a host that runs stays."""
        servers, seen = self.servers, supervision.look(self.paths)
        if "mongo" in servers and not seen.runs("mongo"):
            provision_mongo(self.paths, self.config, self.progress)
        _refuse_taken_ports(self.config, [one for one in (*servers, HOST) if not seen.runs(one)])
        wanted = [*servers, HOST] if seen.runs(HOST) else servers
        self._have(wanted, ", ".join(servers) or "the supervisor")
        if "nats" in servers:
            asyncio.run(provision_nats(self.config))

    def host(self) -> None:
        """Have the host running too, and all it depends on answering it."""
        self._have([*self.servers, HOST], "the host")
        _await_readiness(self.config, self.paths)

    def _have(self, wanted: Sequence[str], what: str) -> None:
        if not supervision.look(self.paths).is_ready(wanted):
            self.progress.step(f"Starting {what}")
            supervision.want(self.paths, wanted, self.environ)
            supervision.await_wanted(self.paths, wanted)


def _refuse_taken_ports(config: LocalConfig, names: Sequence[str]) -> None:
    """Conflict when another program listens where one of `names` is about to."""
    for name in names:
        port = config.port(name)
        if not is_free(port):
            raise Conflict(
                f"Port {port} of 127.0.0.1, which {name} used from the first start on, is taken by "
                f"another program (`ss -tlnp sport = :{port}`). End that program."
            )


def _await_readiness(config: LocalConfig, paths: LocalPaths) -> None:
    """Return once all that the host depends on answers it; Unavailable with its own words."""
    deadline = time.monotonic() + READY_TIMEOUT_SEC
    while (answer := _readiness(config)) is not None:
        supervision.refuse_failures(paths, supervision.look(paths), [HOST])
        if time.monotonic() > deadline:
            raise Unavailable(
                f"The host is not ready after {READY_TIMEOUT_SEC:.0f} s: {answer}. "
                f"Its log is {paths.log(HOST)}."
            )
        time.sleep(READY_POLL_SEC)


def _readiness(config: LocalConfig) -> str | None:
    """None when ready, else what the host says. The first question shows by its token that it is
    our host which listens there, and not another installation's that was quicker."""
    try:
        for path in ("/status", "/readyz"):
            asked = urllib.request.Request(  # noqa: S310 - ours
                f"{config.api_url}{path}", headers={"Authorization": f"Bearer {config.api_token}"}
            )
            urllib.request.urlopen(asked, timeout=5).close()  # noqa: S310 - ours
    except urllib.error.HTTPError as error:
        with error:
            return error.read(2000).decode(errors="replace").strip()
    except OSError as error:
        return str(error)
    return None
