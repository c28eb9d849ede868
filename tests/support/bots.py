"""Bots that most tests of a whole runner use."""

from __future__ import annotations

COUNTER = """
import os, time

def main(bot_id, config):
    print("hello", bot_id, config.get("v"), flush=True)
    path = "/state/count"
    count = int(open(path).read()) if os.path.exists(path) else 0
    print("count was", count, flush=True)
    started = count
    while True:
        count += 1
        with open(path + ".new", "w") as file:
            file.write(str(count))
        os.replace(path + ".new", path)
        if "crash_after" in config and count - started >= config["crash_after"]:
            raise RuntimeError("boom")
        if "end_after" in config and count - started >= config["end_after"]:
            return
        time.sleep(0.2)
"""


LEDGER = """
import os, signal, sys, time, uuid

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def read(name):
    path = "/state/" + name
    return open(path).read() if os.path.exists(path) else ""

def write(name, text):
    with open("/state/" + name + ".new", "w") as file:
        file.write(text)
    os.replace("/state/" + name + ".new", "/state/" + name)

def main(bot_id, config):
    count = int(read("count") or 0)
    say("found", count, read("last"))

    def end(*_):
        time.sleep(config.get("end_sec", 0))
        last = uuid.uuid4().hex
        write("last", last)
        say("last", last)
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    say("runs", config.get("v"))
    while True:
        if not config.get("idle"):
            count += 1
            write("count", str(count))
            say("wrote", count)
        time.sleep(config.get("pause", 0.1))
"""
"""Counts in its state and says each number once it is written, and at a SIGTERM writes a last
word and says it; at its start it says what it found."""

BOTS = {"counter": COUNTER, "ledger": LEDGER}
"""Name of the custom bot -> its `main.py`."""
