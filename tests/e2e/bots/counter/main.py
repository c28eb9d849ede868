"""Counts up in its state, several times a second, and prints each count behind its label."""

import os
import time

from the0 import state


def main(bot_id, config):
    if config.get("fail"):
        raise RuntimeError("told to fail")
    if config.get("big"):
        os.makedirs(os.environ["STATE_DIR"], exist_ok=True)
        with open(f"{os.environ['STATE_DIR']}/big", "wb") as file:
            file.write(bytes(11 * 1024 * 1024))
    while True:
        count = state.get("count", 0) + 1
        state.set("count", count)
        print(f"{config['label']} {count}", flush=True)
        time.sleep(0.2)
