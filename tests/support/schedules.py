"""Scheduled bots for tests of a whole scheduler: their code, documents, runs."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.runner import Installation, eventually

WORKER = """
import json, os, signal, sys, time

def main(bot_id, config):
    print("run", os.environ["RUN_ID"], os.environ["BOT_TYPE"], time.time_ns(), flush=True)
    with open("/state/runs", "a") as file:
        file.write(os.environ["RUN_ID"] + "\\n")
    what = config.get("what", "end")
    if what == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if what in ("hang", "deaf"):
        time.sleep(3600)
    time.sleep(config.get("seconds", 0))
    if what == "fail":
        raise RuntimeError("boom")
    if what == "memory":
        hoard = []
        while True:
            hoard.append(bytearray(b"x" * (8 << 20)))
    if what == "print":
        line = "x" * 1023 + "\\n"
        for _ in range(config["kib"]):
            sys.stdout.write(line)
    with open("/" + os.environ["CODE_MOUNT_DIR"] + "/result.json", "w") as file:
        json.dump({"status": "success", "answer": 42, "bot": bot_id}, file)
"""
"""Ends as its config says; each run adds a line to its state."""


def once_in(seconds: float) -> str:
    """A schedule that fires once, so many seconds from now (and then in a year)."""
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return f"{at.second} {at.minute} {at.hour} {at.day} {at.month} *"


@dataclass
class Schedules:
    """The scheduled bots of an installation. `what` of :meth:`put` is told to the worker."""

    site: Installation

    def __post_init__(self) -> None:
        self.site.upload("worker", WORKER)

    @property
    def documents(self) -> Any:
        return self.site.client["bot_scheduler"]["bot_schedules"]

    @property
    def records(self) -> Any:
        return self.site.client["the0"]["runs"]

    def put(self, bot_id: str, schedule: str, *, enabled: bool = True, **config: Any) -> None:
        """Have the bot run by `schedule`; `next_execution_time` stays as it is."""
        document = {
            "id": bot_id,
            "config": {"name": bot_id, "schedule": schedule, **config},
            "custom": {
                "version": "1.0.0",
                "filePath": "user/worker/1.0.0",
                "updatedAt": datetime.now(UTC).isoformat(),
                "config": {
                    "name": "worker",
                    "runtime": "python3.11",
                    "entrypoints": {"bot": "main.py"},
                },
            },
            "enabled": enabled,
        }
        self.documents.update_one({"id": bot_id}, {"$set": document}, upsert=True)

    def set(self, bot_id: str, **fields: Any) -> None:
        self.documents.update_one({"id": bot_id}, {"$set": fields})

    def planned(self, bot_id: str) -> int | None:
        found: int | None = self.documents.find_one({"id": bot_id}).get("next_execution_time")
        return found

    def runs(self, bot_id: str) -> Sequence[dict[str, Any]]:
        """Its records, oldest slot first."""
        order = [("slot", 1), ("attempt", 1)]
        return list(self.records.find({"bot_id": bot_id}).sort(order))

    def ended(self, bot_id: str, count: int = 1, within: float = 90.0) -> Sequence[dict[str, Any]]:
        """Its first `count` records that have an outcome, once there are so many."""

        def found() -> Sequence[dict[str, Any]]:
            runs = [run for run in self.runs(bot_id) if run["outcome"]]
            return runs[:count] if len(runs) >= count else []

        text = f"{count} runs of {bot_id} ended"
        result: Sequence[dict[str, Any]] = eventually(found, text, within)
        return result

    def ask(self, path: str, body: Any = None) -> tuple[int, Any]:
        """The scheduler's own socket."""
        connection = http.client.HTTPConnection("scheduler", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(10)
        with contextlib.closing(connection):
            connection.sock.connect(str(self.site.root / "run" / "scheduler.sock"))
            data = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, data)
            answer = connection.getresponse()
            text = answer.read()
        return answer.status, json.loads(text) if path != "/metrics" else text.decode()

    def ready(self) -> bool:
        """Whether the scheduler has read its schedules, and nothing holds starts back."""
        try:
            if self.ask("/readyz")[0] != 200:
                return False
            status, body = self.ask("/status")
        except OSError:
            return False
        return status == 200 and bool(body["read"])

    def start(self) -> None:
        """A scheduler, once it works."""
        self.site.start_host("scheduler")
        eventually(self.ready, "the scheduler is ready")

    def run_now(self, bot_id: str) -> str:
        """The id of a run that was asked for."""
        status, body = self.ask("/run-now", {"bot_id": bot_id})
        assert status == 202, body
        return str(body["run"])

    def running(self, bot_id: str) -> dict[str, Any]:
        """The bot's newest record, once its container has started."""

        def found() -> dict[str, Any] | None:
            runs = self.runs(bot_id)
            return runs[-1] if runs and runs[-1]["started"] else None

        result: dict[str, Any] = eventually(found, f"{bot_id} runs")
        return result

    def wake(self, bot_id: str | None) -> None:
        assert self.ask("/wake", {"bot_id": bot_id})[0] == 202
