"""The physical limit of a start: the same container with nothing of ours in it."""

from __future__ import annotations

import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from bench.site import Site, document, until
from the0.core.launcher import Launcher, Prepared
from the0.documents import parse_bot
from the0.models import BotType

FIRST_LINE = "import time; print(time.time_ns(), flush=True); time.sleep(3600)"


@dataclass(frozen=True)
class BareStart:
    """Moments in Unix nanoseconds; `start` lies between the answers to create and start."""

    ref: str
    begun: int
    created: int
    started: int
    first_line: int


def prepare(site: Site, bot_id: str) -> Prepared:
    """A launch and a container of a bot, just as the host makes them."""
    bot = parse_bot(document(bot_id), BotType.REALTIME, site.settings.limits)
    launcher = Launcher(site.settings, site.executor.args.installation)
    return launcher.prepare(bot, site.runtime.processes(bot.entrypoints), site.image)


def start(site: Site, bot_id: str) -> BareStart:
    """A bare `create` and `start` with the options of a bot, running `python3 -c`."""
    spec = replace(prepare(site, bot_id).spec, command=("python3", "-c", FIRST_LINE))
    begun = time.time_ns()
    ref = site.executor.create(spec).ref
    created = time.time_ns()
    site.executor.start(ref)
    started = time.time_ns()
    line = until(lambda: site.executor.log_tail(ref, 1), f"the first line of {bot_id}")
    return BareStart(ref, begun, created, started, int(line[0]))


def start_many(site: Site, count: int, at_once: int) -> float:
    """Seconds until the last of `count` bare containers has written its first line."""
    name = secrets.token_hex(4)
    begun = time.time_ns()
    with ThreadPoolExecutor(at_once) as pool:
        made = list(pool.map(lambda n: start(site, f"bare-{name}-{n}"), range(count)))
    return (max(one.first_line for one in made) - begun) / 1e9
