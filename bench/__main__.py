"""`python -m bench [--json] [name ...]`: the hot paths beside their physical limits.

Real Docker, MongoDB protocol, S3 and NATS servers, and hosts as processes of their own. It needs
root for the memory of containers' processes, and leaves nothing behind.
"""

from __future__ import annotations

import argparse
import time

from bench import gateway, memory, passes, queries, query_pool, reactions, schedules, starts
from bench.harness import Report
from bench.site import running_site

BENCHMARKS = {
    "starts": starts.run,
    "reactions": reactions.run,
    "memory": memory.run,
    "passes": passes.run,
    "gateway": gateway.run,
    "queries": queries.run,
    "query_pool": query_pool.run,
    "schedules": schedules.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document in the end")
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(BENCHMARKS))
    options = parser.parse_args()
    if unknown := set(options.names) - BENCHMARKS.keys():
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    begun = time.monotonic()
    report = Report(options.json)
    with running_site() as site:
        for name in options.names or BENCHMARKS:
            BENCHMARKS[name](site, report)
    report.end()
    if not options.json:
        print(f"\n{time.monotonic() - begun:.0f} s in all")


if __name__ == "__main__":
    main()
