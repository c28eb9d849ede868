"""Says which run it is, takes its time, and ends as it was told."""

import os
import sys
import time


def main(bot_id, config):
    print(f"this is {os.environ['RUN_ID']}", flush=True)
    time.sleep(config.get("takes_sec", 0))
    sys.exit(config.get("code", 0))
