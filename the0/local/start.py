"""`the0 local start`: idempotent, and a start that fails leaves nothing running behind."""

from __future__ import annotations

import asyncio
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from the0.config import bootstrap
from the0.core.images import ensure_images
from the0.errors import Conflict, Unavailable
from the0.local import config as local_config
from the0.local import supervision
from the0.local.client import Client, write_client
from the0.local.config import LocalConfig, is_free
from the0.local.host_settings import embedded, instance_of, write_settings
from the0.local.paths import LocalPaths
from the0.local.processes import HOST
from the0.local.provision import provision_mongo, provision_nats
from the0.local.site import Site, alone, remember_installation
from the0.plugin.interfaces import Progress

READY_TIMEOUT_SEC = 60.0
READY_POLL_SEC = 0.2


def start(progress: Progress, environ: Mapping[str, str] = os.environ) -> Client:
    """Bring up the embedded servers, the images and the host; returns where its API is.

    What runs already stays as it is; the host is restarted when its settings changed. Raises
    The0Error; whatever this very call started is stopped again then.
    """
    paths = LocalPaths.of(environ)
    with alone(paths):
        given, plugins = bootstrap(environ=environ)
        config = local_config.load_or_create(
            paths.config, instance_of(given, _remembered_instance(paths))
        )
        config = local_config.with_own_api(paths.config, config, given.api)
        servers = embedded(given, plugins)
        changed = write_settings(paths, config, servers)
        site = Site.load(paths, environ)
        with site.executor() as executor:
            progress.step(f"Container engine {executor.info().version} answers")
        with _stopped_on_failure(paths):
            _start_servers(paths, config, list(servers), changed, progress)
            with site.executor() as executor:
                ensure_images(executor, site.runtimes(), progress)
                remember_installation(paths, site.claim(executor.info().id))
            _start_host(paths, config, [*servers, HOST], progress)
        client = Client(config.api_url, config.api_token)
        write_client(paths, client)
        return client


def _remembered_instance(paths: LocalPaths) -> str | None:
    return local_config.load(paths.config).instance if paths.config.exists() else None


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


def _start_servers(
    paths: LocalPaths, config: LocalConfig, servers: list[str], changed: bool, progress: Progress
) -> None:
    """Have the embedded servers running; a host that runs with the same settings stays."""
    seen = supervision.look(paths)
    keep_host = seen.runs(HOST) and not changed
    if "mongo" in servers and not seen.runs("mongo"):
        provision_mongo(paths, config, progress)
    wanted = [*servers, HOST] if keep_host else servers
    _refuse_taken_ports(config, [name for name in [*servers, HOST] if not seen.runs(name)])
    if not seen.is_ready(wanted):
        progress.step(f"Starting {', '.join(servers) or 'the supervisor'}")
        supervision.want(paths, wanted)
        supervision.await_wanted(paths, wanted)
    if "nats" in servers:
        asyncio.run(provision_nats(config))


def _refuse_taken_ports(config: LocalConfig, names: Sequence[str]) -> None:
    """Conflict when another program listens where one of `names` is about to."""
    for name in names:
        port = config.port(name)
        if not is_free(port):
            raise Conflict(
                f"Port {port} of 127.0.0.1, which {name} used from the first start on, is taken by "
                f"another program (`ss -tlnp sport = :{port}`). End that program."
            )


def _start_host(
    paths: LocalPaths, config: LocalConfig, wanted: list[str], progress: Progress
) -> None:
    if not supervision.look(paths).is_ready(wanted):
        progress.step("Starting the host")
        supervision.want(paths, wanted)
        supervision.await_wanted(paths, wanted)
    _await_readiness(config, paths)


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
    """None when ready, else what the host says."""
    try:
        urllib.request.urlopen(f"{config.api_url}/readyz", timeout=5).close()  # noqa: S310 - ours
    except urllib.error.HTTPError as error:
        with error:
            return error.read(2000).decode(errors="replace").strip()
    except OSError as error:
        return str(error)
    return None
