"""What the fault tests of a whole runner share: ways to do harm, and to look."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import tarfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import docker
import pytest
from minio.error import S3Error

from tests.support.runner import Installation, eventually
from tests.support.soak import scaled
from the0.storage.log_spool import bot_directory
from the0.testing.servers import Server

OUTAGE_SEC = scaled(8.0, 60.0)

both_ways = pytest.mark.parametrize("how", ["frozen", "killed"])
"""What may happen to a server; see :func:`take_away`."""

LIFE = frozenset({"create", "start", "die", "destroy"})


@dataclass(frozen=True)
class Happening:
    """An event of the engine about one bot's container."""

    time_ns: int
    action: str
    bot_id: str
    ref: str


@dataclass
class Watch:
    """What happened to an installation's containers, in the engine's own order."""

    seen: list[Happening] = field(default_factory=list)

    def actions(self, bot_id: str) -> list[str]:
        """What was done with a bot's containers so far."""
        return [one.action for one in self.seen if one.bot_id == bot_id]

    def touched(self) -> set[str]:
        """The bots of which a container was made, started, ended or removed."""
        return {one.bot_id for one in self.seen}

    def twins(self) -> list[Happening]:
        """Every moment at which a bot got a container beside one that it had."""
        there: defaultdict[str, set[str]] = defaultdict(set)
        found = []
        for one in sorted(self.seen, key=lambda one: one.time_ns):
            if one.action == "create":
                there[one.bot_id].add(one.ref)
                found += [one] if len(there[one.bot_id]) > 1 else []
            elif one.action == "destroy":
                there[one.bot_id].discard(one.ref)
        return found


@contextlib.contextmanager
def watching(engine: docker.DockerClient, instance: str) -> Iterator[Watch]:
    """Follow the engine's events of one instance's containers."""
    watch = Watch()
    filters = {"type": "container", "label": f"the0.instance={instance}"}
    stream = engine.events(decode=True, filters=filters)

    def read() -> None:
        for event in stream:
            if event["Action"] in LIFE:
                bot_id = event["Actor"]["Attributes"]["runtime.id"]
                happening = Happening(event["timeNano"], event["Action"], bot_id, event["id"])
                watch.seen.append(happening)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        stream.close()
        thread.join(10)


@dataclass(frozen=True)
class Life:
    """One container's life as the engine tells it; two with the same are the same process."""

    ref: str
    started_at: str


def lives(engine: docker.DockerClient, site: Installation) -> dict[str, Life]:
    """Bot id -> its running container."""
    filters = {"label": f"the0.instance={site.instance}"}
    found = engine.containers.list(filters=filters, ignore_removed=True)
    return {
        one.labels["runtime.id"]: Life(one.id, one.attrs["State"]["StartedAt"]) for one in found
    }


def in_phase(site: Installation, phase: str) -> set[str]:
    """The bots that the runner shows so; none while no runner answers."""
    try:
        status, body = site.ask("/status")
    except OSError:
        return set()
    return {bot["id"] for bot in body["bots"] if bot["phase"] == phase} if status == 200 else set()


def started(site: Installation, *bot_ids: str, **config: Any) -> None:
    """A host, and these bots of the ledger running."""
    for bot_id in bot_ids:
        site.put(bot_id, "ledger", **config)
    host = site.start_host()

    def run() -> bool:
        assert host.poll() is None, site.log()
        return in_phase(site, "running") >= set(bot_ids)

    eventually(run, f"{bot_ids} run")


def ready(site: Installation) -> bool:
    """Whether a runner answers and all it needs does too."""
    try:
        return site.ask("/readyz")[0] == 200
    except OSError:
        return False


def unready(site: Installation) -> list[str]:
    """The dependencies that the runner names as not answering."""
    checks: Mapping[str, Any] = site.ask("/readyz")[1]["dependencies"]
    return [name for name, one in checks.items() if not one["ok"]]


def output(engine: docker.DockerClient, ref: str) -> list[str]:
    """The lines that a container wrote."""
    return str(engine.containers.get(ref).logs().decode()).splitlines()


def numbers(lines: Sequence[str], word: str) -> list[int]:
    """What followed `word` in the lines that begin with it."""
    return [int(found[1]) for line in lines if (found := re.match(rf"{word} (\d+)", line))]


def kill_bot_process(engine: docker.DockerClient, ref: str) -> None:
    """kill -9 of the bot alone, from outside its container. ValueError when it does not run."""
    table = engine.containers.get(ref).top()
    command, pid = table["Titles"].index("CMD"), table["Titles"].index("PID")
    (found,) = [row[pid] for row in table["Processes"] or () if "wrapper.py" in row[command]]
    os.kill(int(found), signal.SIGKILL)


def stored_state(site: Installation, bot_id: str) -> dict[str, str]:
    """The files of a bot's state as they lie in the store."""
    try:
        answer = site.store.get_object("bot-state", f"{bot_id}/state.tar.gz")
    except S3Error:
        return {}
    with tarfile.open(fileobj=io.BytesIO(answer.read())) as archive:
        files = {one.name.removeprefix("./"): archive.extractfile(one) for one in archive}
        return {name: file.read().decode() for name, file in files.items() if file}


def spooled_lines(site: Installation, bot_id: str) -> list[str]:
    """The messages of a bot that reached the host, of all its launches, oldest first."""
    files = sorted(bot_directory(site.root / "spool", bot_id).glob("*.log"))
    # The last line may be being written.
    raw = [line for file in files for line in file.read_bytes().rpartition(b"\n")[0].split(b"\n")]
    return [json.loads(line).get("message", "") for line in raw if line]


def stored_lines(site: Installation, bot_id: str) -> list[str]:
    """The messages of a bot's log as they lie in the store, day after day."""
    objects = site.store.list_objects("bot-logs", f"logs/{bot_id}/")
    days = [
        site.store.get_object("bot-logs", name) for name in sorted(o.object_name for o in objects)
    ]
    return [json.loads(line)["message"] for day in days for line in day.read().splitlines()]


def whole_log(site: Installation, bot_id: str) -> list[str]:
    """The stored messages of a ledger that was stopped; none before its last word is stored."""
    lines = stored_lines(site, bot_id)
    return lines if any(line.startswith("last ") for line in lines) else []


def sit_out(since: float) -> None:
    """An outage that began at `since` (:func:`time.monotonic`) lasts its full time, whatever was
    looked at meanwhile."""
    time.sleep(max(0.0, since + OUTAGE_SEC - time.monotonic()))


def take_away(server: Server, how: str) -> None:
    """`frozen` (hangs) or `killed`."""
    server.freeze() if how == "frozen" else server.kill()


def bring_back(server: Server, how: str) -> None:
    """Undo :func:`take_away`."""
    server.thaw() if how == "frozen" else server.restart()
