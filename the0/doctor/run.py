"""All checks, in the order in which a person mends things."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from the0.config import Settings
from the0.doctor.check import Check, Status, fail, said
from the0.doctor.engine import check_engine, check_firewall
from the0.doctor.machine import check_disk, check_plugins, check_port, check_state_dir
from the0.doctor.neighbours import check_neighbours
from the0.doctor.services import check_mongo, check_nats, check_storage
from the0.errors import The0Error
from the0.plugin.interfaces import PluginArgs
from the0.plugin.manager import PluginManager


def run_checks(settings: Settings, plugins: PluginManager) -> Sequence[Check]:
    """Ask everything that the host needs. Blocks, for some seconds where nothing answers; never
    raises for what it finds."""
    mongo = check_mongo(settings)
    return [
        *_engine(settings, plugins),
        check_firewall(),
        mongo,
        *(check_neighbours(settings, plugins) if mongo.status is Status.OK else ()),
        check_storage(settings, plugins),
        check_nats(settings),
        check_port(settings),
        check_disk(settings),
        check_state_dir(settings),
        *check_plugins(plugins),
    ]


def _engine(settings: Settings, plugins: PluginManager) -> Sequence[Check]:
    root = settings.state_dir.root
    args = PluginArgs(settings.general.instance, "", root, settings.sections)
    try:
        chosen = plugins.executors.get(settings.executor.plugin)
        runtimes = [plugins.runtimes.get(name)(args) for name in plugins.runtimes.names()]
        with closing(chosen(args)) as executor:
            return list(check_engine(executor, runtimes))
    except The0Error as error:
        return [fail("engine", said(error), "Correct the settings, or install what is missing.")]
