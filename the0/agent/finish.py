"""The fork that brings everything to the store after the bot has ended, within a deadline."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple

from the0.agent import files
from the0.agent.backoff import Backoff
from the0.agent.client import Gateway, Refused, Unavailable
from the0.agent.job import Job
from the0.agent.prepare import cleared, condition
from the0.agent.shipping import Shipper
from the0.agent.status import Condition, Exit, Status
from the0.agent.workers import Send

MAX_RESULT = 1 << 20
_RESULT_SEC = 5.0
_LOGS_SHARE = 0.25
_REPORT_SHARE = 0.1


class Ending(NamedTuple):
    """What is left to do: `saves_state` where the bot may have changed it, None where the volume
    was not come to, so that what an earlier launch left there is still unsaved; `deadline` is a
    reading of :func:`time.monotonic`."""

    exit: Exit
    saves_state: bool | None
    deadline: float


def finish(job: Job, status: Status, ending: Ending, send: Send) -> int:
    """Bring result, log and state to the store and report the end. Sends whether all of it arrived
    as `complete`."""
    left = max(0.0, ending.deadline - time.monotonic())
    sent = _send_result(job, status, min(_RESULT_SEC, left), send)
    if job.launch.kind == "query":
        # Somebody waits for the answer, and nobody for the log.
        reported = _report_end(job.gateway, status, ending)
        return _complete(send, sent and reported and _ship_logs(job, left * _LOGS_SHARE))
    shipped = _ship_logs(job, left * _LOGS_SHARE)
    saved = ending.saves_state is False
    if ending.saves_state:
        until = ending.deadline - left * _REPORT_SHARE
        saved = _save_state(job.until(until), status, until, send)
    reported = _report_end(job.gateway, status, ending, saved)
    return _complete(send, sent and shipped and saved and reported)


def _complete(send: Send, everything: bool) -> int:
    send({"complete": everything})
    return 0


def _report_end(gateway: Gateway, status: Status, ending: Ending, saved: bool = True) -> bool:
    status.phase = "ended"
    status.exit = ending.exit._replace(state_saved=saved)
    remaining = max(0.0, ending.deadline - time.monotonic())
    until = gateway.until(ending.deadline)
    return _persist(remaining, lambda: until.post("/v1/status", status.document()))


def _send_result(job: Job, status: Status, seconds: float, send: Send) -> bool:
    folder = {"scheduled": job.paths.bot, "query": job.paths.query}.get(job.launch.kind)
    content = _read_result(folder) if folder else None
    if content is None:
        return True
    if len(content) > MAX_RESULT:
        text = f"result.json is not stored: it is larger than {MAX_RESULT:,} bytes"
        status.take(Condition("ResultTooLarge", True, "OverLimit", text))
        send({"say": text})
        return True
    until = job.gateway.until(time.monotonic() + seconds)
    return _persist(seconds, lambda: until.request("PUT", "/v1/result", content))


def _read_result(path: str) -> bytes | None:
    folder = files.open_folder(path)
    try:
        fd = files.open_file("result.json", folder)
    except OSError:
        return None
    finally:
        os.close(folder)
    with open(fd, "rb") as file:
        return file.read(MAX_RESULT + 1)


def _ship_logs(job: Job, seconds: float) -> bool:
    until = job.gateway.until(time.monotonic() + seconds)
    logs, var = files.open_folder(job.paths.logs), files.open_folder(job.paths.var)
    shipper = Shipper(logs, var, job.launch.logs)

    def everything() -> None:
        while shipper.ship(until):
            pass

    return _persist(seconds, everything)


def _save_state(job: Job, status: Status, deadline: float, send: Send) -> bool:
    from the0.agent import saving  # noqa: PLC0415 - large, and only needed in this fork

    pauses = Backoff(0.2, 2.0)
    while True:
        outcome = saving.save(job)
        if outcome.saved:
            status.take(Condition("StateNotSaved", False))
            send(cleared("StateNotSaved"))
            return True
        wait = pauses.pause()
        if not outcome.soon or time.monotonic() + wait > deadline:
            status.take(Condition("StateNotSaved", True, outcome.reason, outcome.message))
            send(condition("StateNotSaved", outcome.reason, outcome.message))
            return False
        time.sleep(wait)


def _persist(seconds: float, attempt: Callable[[], object]) -> bool:
    """Try until it works or the time is over; whether it worked."""
    deadline, pauses = time.monotonic() + seconds, Backoff(0.1, 2.0)
    while True:
        try:
            attempt()
        except Refused:
            return False
        except Unavailable:
            wait = pauses.pause()
            if time.monotonic() + wait >= deadline:
                return False
            time.sleep(wait)
        else:
            return True
