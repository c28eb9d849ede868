"""Bots that kill, hide and hold on, each through the whole platform."""

from __future__ import annotations

import tarfile

import pytest

from tests.support.den import Den
from tests.support.faults import stored_state
from tests.support.runner import eventually

MIB = 1 << 20

LINKS = """
import os, socket, time

def main(bot_id, config):
    os.chdir("/state")
    os.makedirs("folder")
    open("folder/real", "w").write("real")
    os.link("folder/real", "hard")
    os.symlink("/etc/passwd", "passwd")
    os.symlink("/", "root")
    os.symlink("folder", "inside")
    os.symlink("loop", "loop")
    os.mkfifo("fifo")
    socket.socket(socket.AF_UNIX).bind("socket")
    for kind in (0o020666, 0o060666):
        try:
            os.mknod("device", kind, os.makedev(1, 3))
            print("MADE A DEVICE", flush=True)
        except OSError as error:
            print("no device", error.errno, flush=True)
    while True:
        time.sleep(1)
"""

ATTACK = """
import os, signal, time

def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]

def main(bot_id, config):
    signal.signal(signal.SIGTERM, lambda *_: None)
    for round in range(4):
        for pid in processes():
            if pid not in (1, os.getpid()):
                try:
                    os.kill(pid, config["signal"])
                except ProcessLookupError:
                    pass
        print("round", round, flush=True)
        time.sleep(0.5)
    open("/state/kept", "w").write("after")
    print("survived", flush=True)
    while True:
        time.sleep(1)
"""

END_PROCESS_1 = """
import os, signal, time

def main(bot_id, config):
    def end(*_):
        open("/state/kept", "w").write("told")
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    print("up", flush=True)
    if not os.path.exists("/state/kept"):
        os.kill(1, signal.SIGTERM)
    while True:
        time.sleep(1)
"""

DEAF = """
import os, signal, time

def main(bot_id, config):
    for number in set(range(1, 65)) - {9, 19, 32, 33}:
        signal.signal(number, signal.SIG_IGN)
    print("deaf", flush=True)
    count = 0
    while True:
        count += 1
        open("/state/new", "w").write(str(count))
        os.replace("/state/new", "/state/count")
        time.sleep(0.01)
"""

DAEMON = """
import os, time

def main(bot_id, config):
    if os.path.exists("/state/daemon"):
        print("again", flush=True)
        while True:
            time.sleep(1)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            open("/state/daemon", "w").write("hidden")
            while True:
                time.sleep(1)
        os._exit(0)
    while not os.path.exists("/state/daemon"):
        time.sleep(0.01)
    os._exit(7)
"""

MUTE = """
import os, time

def main(bot_id, config):
    print("last words", flush=True)
    for fd in (0, 1, 2):
        os.close(fd)
    open("/state/kept", "w").write("silently")
    while True:
        time.sleep(1)
"""

NOISE = """
import os, time

def main(bot_id, config):
    os.write(1, bytes(range(256)) + b"\\n")
    os.write(2, b"\\xff\\xfe\\x00 no text\\r\\n")
    rest = b"L" * (1 << 20) + b"\\n"
    while rest:
        rest = rest[os.write(1, rest):]
    os.write(1, b'{"timestamp": "now", "_metric": "m", "v": 1e999}\\n{"broken": \\n')
    os.write(1, b"the end\\n")
    while True:
        time.sleep(1)
"""


def test_links_and_devices_are_neither_followed_nor_stored(den: Den) -> None:
    den.release("links", LINKS)
    eventually(lambda: len(den.lines("links")) >= 2, "it has tried")
    assert den.lines("links") == ["no device 1", "no device 1"]
    den.end("links")
    members = den.stored_files("links")
    assert {name: kind for name, (kind, _) in members.items()} == {
        "folder/real": tarfile.REGTYPE,
        "hard": tarfile.REGTYPE,
    }
    assert {content for _, content in members.values()} == {b"real"}
    assert den.conditions("links") == {}


@pytest.mark.parametrize("number", [9, 19])
def test_a_bot_that_kills_or_freezes_sync_is_still_saved(den: Den, number: int) -> None:
    bot_id = f"attacks-{number}"
    den.release(bot_id, ATTACK, signal=number)
    eventually(lambda: "survived" in den.lines(bot_id), "its lines still come")
    eventually(lambda: stored_state(den.site, bot_id) == {"kept": "after"}, "it is saved")
    shown = den.end(bot_id)
    assert (shown["restarts"], shown["last_exit"]["asked_by"]) == (0, "disabled")


def test_a_bot_that_ends_process_1_ends_itself_in_order(den: Den) -> None:
    den.set_on("suicide", END_PROCESS_1)
    record = den.last_exit("suicide")
    assert (record["reason"], record["asked_by"]) == ("stopped", "")
    eventually(lambda: den.site.phase("suicide") == "running", "it is started again")
    assert stored_state(den.site, "suicide") == {"kept": "told"}
    den.end("suicide")


def test_a_bot_that_traps_every_signal_is_killed_and_saved(den: Den) -> None:
    den.release("deaf", DEAF)
    eventually(lambda: den.lines("deaf"), "it is deaf")
    shown = den.end("deaf")
    assert (shown["last_exit"]["signal"], shown["crashes"]) == (9, 0)
    assert int(stored_state(den.site, "deaf")["count"]) > 100


def test_a_daemon_ends_with_the_bot(den: Den) -> None:
    den.set_on("daemon", DAEMON)
    record = den.last_exit("daemon")
    assert (record["code"], record["reason"]) == (7, "exited")
    eventually(lambda: "again" in den.lines("daemon"), "it is started again")
    ref = den.site.running()["daemon"]
    table = den.engine.containers.get(ref).top()
    wrappers = [row for row in table["Processes"] if any("wrapper.py" in cell for cell in row)]
    assert len(wrappers) == 1
    den.end("daemon")


def test_a_bot_without_output_runs_on(den: Den) -> None:
    ref = den.release("mute", MUTE)
    eventually(lambda: stored_state(den.site, "mute") == {"kept": "silently"}, "it is saved")
    assert den.site.running()["mute"] == ref
    assert den.lines("mute") == ["last words"]
    assert den.end("mute")["last_exit"]["asked_by"] == "disabled"


def test_any_bytes_become_lines(den: Den) -> None:
    den.release("noise", NOISE)
    eventually(lambda: "the end" in den.lines("noise"), "all came")
    lines = den.lines("noise")
    assert sum(len(line) for line in lines if set(line) == {"L"}) == MIB
    assert max(map(len, lines)) <= 64 * 1024
    assert any("no text" in line for line in lines)
    den.end("noise")
