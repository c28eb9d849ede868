"""Whole runners whose bots are local processes, and bots that behave as bots should not."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from pathlib import Path
from typing import Any

from tests.support.faults import stored_state
from tests.support.runner import Installation, eventually, stays
from the0.builtin.executor_process_record import ProcessId, Running

FORKS = """
import os, time

def main(bot_id, config):
    for _ in range(5):
        if os.fork() == 0:
            os.setsid()
            while True:
                time.sleep(1)
    print("forked", flush=True)
    time.sleep(3600)
"""

DAEMON = """
import os, time

def main(bot_id, config):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 64)
            while True:
                time.sleep(0.1)
                open("/state/beat", "w").write(str(time.time()))
        os._exit(0)
    time.sleep(1)
    print("left a daemon", flush=True)
"""

WANDERER = """
import os, time
from the0 import state

def main(bot_id, config):
    os.chdir("/")
    state.set("where", "everywhere")
    print("wandered off", flush=True)
    time.sleep(3600)
"""

SILENT = """
import os, time

def main(bot_id, config):
    print("last words", flush=True)
    os.close(1)
    os.close(2)
    while True:
        time.sleep(0.2)
        open("/state/lives", "w").write("yes")
"""

BINARY = """
import os, time

def main(bot_id, config):
    os.write(1, bytes(range(256)) * 40 + b"\\n")
    print("after the bytes", flush=True)
    time.sleep(3600)
"""

DEAF = """
import signal, time

def main(bot_id, config):
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        try:
            signal.signal(number, signal.SIG_IGN)
        except OSError:
            pass
    print("hears nothing", flush=True)
    while True:
        time.sleep(1)
"""

ODD = {
    "forks": FORKS,
    "daemon": DAEMON,
    "wanderer": WANDERER,
    "silent": SILENT,
    "binary": BINARY,
    "deaf": DEAF,
}


def said(site: Installation, bot_id: str) -> str:
    """What the bot's container wrote itself."""
    with site.executor() as executor:
        return "\n".join(executor.log_tail(site.running()[bot_id], 1000))


def kept(site: Installation, bot_id: str) -> Path:
    """The folder of the bot's container."""
    ref = site.running()[bot_id]
    return site.root / "processes" / site.installation / "containers" / ref.rpartition(".")[0]


def below(pid: int) -> set[ProcessId]:
    """All processes that descend from `pid`."""
    found: set[ProcessId] = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            words = path.read_text().rpartition(")")[2].split()
            if int(words[1]) == pid and (child := ProcessId.of(int(path.parent.name))):
                found |= {child} | below(child.pid)
    return found


def test_bots_outlive_their_host_and_are_found_again(process_site: Installation) -> None:
    site = process_site
    site.put("b", v=1)
    site.start_host()
    eventually(lambda: site.phase("b") == "running", "b runs")
    first = site.running()["b"]
    site.kill_host()
    stays(lambda: site.running().get("b"), 1, "the bot without a host")
    site.start_host()
    eventually(lambda: site.phase("b") == "running", "b is adopted")
    assert site.running()["b"] == first
    conditions = site.ask("/status")[1]["host_conditions"]
    assert "NotIsolated" in {one["type"] for one in conditions}

    running = Running.read(kept(site, "b"))
    assert running
    running.main.signal(signal.SIGKILL)
    eventually(lambda: site.running().get("b") not in (None, first), "another process")
    assert site.shown("b")["last_exit"]["code"] == 128 + signal.SIGKILL

    site.enable("b", False)
    eventually(lambda: not site.containers(), "b is stopped")
    assert int(stored_state(site, "b")["count"]) > 0


def test_a_bot_whose_keeper_is_killed_dies_with_it(process_site: Installation) -> None:
    site = process_site
    site.put("b")
    site.start_host()
    eventually(lambda: site.phase("b") == "running", "b runs")
    first, running = site.running()["b"], Running.read(kept(site, "b"))
    assert running
    os.kill(running.keeper.pid, signal.SIGKILL)
    eventually(lambda: ProcessId.of(running.main.pid) != running.main, "nothing of it runs on")
    eventually(lambda: site.running().get("b") not in (None, first), "it is started again")


def test_odd_bots(process_site: Installation) -> None:
    site = process_site
    for name, source in ODD.items():
        site.upload(name, source)
        site.put(name, name, restart="never")
    site.start_host()
    last = {
        "forks": "forked",
        "wanderer": "wandered off",
        "silent": "last words",
        "binary": "after the bytes",
        "deaf": "hears nothing",
    }
    for name, words in last.items():
        eventually(lambda name=name: site.phase(name) == "running", f"{name} runs")
        eventually(lambda name=name, words=words: words in said(site, name), f"{name}: {words}")

    eventually(lambda: site.phase("daemon") in ("ended", "stopped"), "the daemon's bot has ended")
    _assert_silent_lives(site)
    keepers = {name: Running.read(kept(site, name)) for name in last}
    forked = {name: below(one.main.pid) for name, one in keepers.items() if one}
    assert len(forked["forks"]) >= 6
    for name in last:
        site.enable(name, False)
    eventually(lambda: not site.containers(), "all are stopped")
    assert not [one for each in forked.values() for one in each if ProcessId.of(one.pid) == one]
    assert stored_state(site, "wanderer")[".the0-state/where.json"] == '"everywhere"'
    eventually(lambda: site.phase("deaf") == "disabled", "the end of the deaf one is told")
    assert site.shown("deaf")["last_exit"]["signal"] == signal.SIGKILL
    beat = stored_state(site, "daemon")["beat"]
    stays(lambda: stored_state(site, "daemon")["beat"] == beat, 1, "nothing beats on")


def _assert_silent_lives(site: Installation) -> None:
    volumes = site.root / "processes" / site.installation / "volumes"
    (state,) = volumes.glob("*silent*/state")
    eventually((state / "lives").exists, "a bot without stdout goes on")


def test_each_query_server_has_a_port_of_its_own(process_site: Installation) -> None:
    site = process_site
    for bot_id in ("one", "two"):
        document: dict[str, Any] = site.put(bot_id)
        document["custom"]["config"]["entrypoints"]["query"] = "main.py"
        site.bots.replace_one({"id": bot_id}, document)
    site.upload("counter", QUERY_AND_BOT)
    site.start_host()
    for bot_id in ("one", "two"):
        eventually(lambda bot_id=bot_id: site.phase(bot_id) == "running", f"{bot_id} runs")
    with site.executor() as executor:
        places = {bot: executor.address(ref, 9476) for bot, ref in site.running().items()}
    assert len(set(places.values())) == 2
    for bot_id, place in places.items():
        eventually(lambda place=place: _asked(place), f"{bot_id} answers")
        assert bot_id in _asked(place)


QUERY_AND_BOT = """
import os, time

def main(bot_id, config):
    time.sleep(3600)

if __name__ == "__main__":
    from the0 import query

    @query.handler("/who")
    def who(request):
        return os.environ["BOT_ID"]

    query.run()
"""


def _asked(place: tuple[str, int]) -> str:
    try:
        with socket.create_connection(place, timeout=10) as connection:
            connection.sendall(b"GET /who HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
    except ConnectionRefusedError:
        return ""
    return answer.decode()
