"""The fork that brings everything to the store after the bot has ended, within a deadline."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from the0.agent import files, workers
from the0.agent.backoff import Backoff
from the0.agent.client import Gateway, Refused, Unavailable
from the0.agent.job import Job
from the0.agent.prepare import cleared, condition
from the0.agent.reactor import Reactor
from the0.agent.shipping import Shipper
from the0.agent.status import Condition, Exit, Status
from the0.agent.workers import Message, Send

MAX_RESULT = 1 << 20
_ATTEMPT_SEC = 5.0
_QUERY_LOGS_SHARE = 0.25
_REPORT_SHARE = 0.1


class Ending(NamedTuple):
    """What is left to do: `saves_state` where the bot may have changed it, None where the volume
    was not come to, so that what an earlier launch left there is still unsaved; `deadline` is a
    reading of :func:`time.monotonic`."""

    exit: Exit
    saves_state: bool | None
    deadline: float


class _Errand:
    """One thing to bring to the gateway: `over` once it `arrived`, or was refused for good."""

    def __init__(self, deliver: Callable[[Gateway], object]) -> None:
        self._deliver = deliver
        self.arrived = False
        self.over = False

    def attempt(self, gateway: Gateway) -> None:
        try:
            self._deliver(gateway)
        except Refused:
            self.over = True
        except (Unavailable, OSError):
            # What the bot did to its folders, or a full disk, must not keep back the rest.
            return
        else:
            self.arrived = self.over = True


def finish(job: Job, status: Status, ending: Ending, send: Send) -> int:
    """Bring result, log and state to the store and report the end. Sends whether all of it arrived
    as `complete`."""
    now = time.monotonic()
    left = max(0.0, ending.deadline - now)
    result = _Errand(partial(_send_result, _find_result(job, status, send)))
    logs = _Errand(_log_shipping(job))
    if job.launch.kind == "query":
        # Somebody waits for the answer, and nobody for the log.
        _persist(job.gateway, now + min(_ATTEMPT_SEC, left), result)
        reported = _report_end(job.gateway, status, ending)
        _persist(job.gateway, time.monotonic() + left * _QUERY_LOGS_SHARE, logs)
        return _complete(send, result.arrived and reported and logs.arrived)
    until = ending.deadline - left * _REPORT_SHARE
    saving = _Saving(job, until) if ending.saves_state else None
    _persist(job.gateway, until, result, logs)
    saved = saving.wait(status, send) if saving else ending.saves_state is False
    # What was refused is refused to a flush as well.
    reported = _report_end(job.gateway, status, ending, saved and logs.over)
    return _complete(send, result.arrived and logs.arrived and saved and reported)


def _complete(send: Send, everything: bool) -> int:
    send({"complete": everything})
    return 0


def _report_end(gateway: Gateway, status: Status, ending: Ending, saved: bool = True) -> bool:
    status.phase = "ended"
    status.exit = ending.exit._replace(state_saved=saved)
    report = _Errand(lambda until: until.post("/v1/status", status.document()))
    _persist(gateway, ending.deadline, report)
    return report.arrived


def _find_result(job: Job, status: Status, send: Send) -> bytes | None:
    folder = {"scheduled": job.paths.bot, "query": job.paths.query}.get(job.launch.kind)
    content = _read_result(folder) if folder else None
    if content is None or len(content) <= MAX_RESULT:
        return content
    text = f"result.json is not stored: it is larger than {MAX_RESULT:,} bytes"
    status.take(Condition("ResultTooLarge", True, "OverLimit", text))
    send({"say": text})
    return None


def _read_result(path: str) -> bytes | None:
    try:
        folder = files.open_folder(path)
    except OSError:
        return None
    try:
        return files.read_beginning(folder, "result.json", MAX_RESULT + 1)
    finally:
        os.close(folder)


def _send_result(content: bytes | None, gateway: Gateway) -> None:
    if content is not None:
        gateway.request("PUT", "/v1/result", content)


def _log_shipping(job: Job) -> Callable[[Gateway], None]:
    shipper: Shipper | None = None

    def everything(gateway: Gateway) -> None:
        nonlocal shipper
        if shipper is None:
            var = files.open_folder(job.paths.var)
            shipper = Shipper(job.paths.logs, var, job.launch.logs)
        while shipper.ship(gateway):
            pass

    return everything


class _Saving:
    """Saves the state in a fork beside this one, which ends by `until` whatever the bot's files or
    the disk do to it: the end is reported in any case."""

    def __init__(self, job: Job, until: float) -> None:
        self._until = until
        message = "state not saved: that was not done by the end of the final sync"
        self._outcome: Message = {"saved": False, "reason": "TimeOut", "message": message}
        self._worker: workers.Worker | None = None
        try:
            self._worker = workers.start(partial(_save_state, job.until(until), until))
        except OSError as error:
            message = f"state not saved: {error.strerror}"
            self._outcome.update(reason="NoProcess", message=message)

    def wait(self, status: Status, send: Send) -> bool:
        """Whether it was saved; if not, there is a condition that says why."""
        if self._worker:
            left = max(0.0, self._until - time.monotonic())
            workers.attend(self._worker, Reactor(), left, self._outcome.update)
        if self._outcome["saved"]:
            status.take(Condition("StateNotSaved", False))
            send(cleared("StateNotSaved"))
            return True
        reason, message = self._outcome["reason"], self._outcome["message"]
        status.take(Condition("StateNotSaved", True, reason, message))
        send(condition("StateNotSaved", reason, message, self._outcome.get("subject", "")))
        return False


def _save_state(job: Job, until: float, send: Send) -> int:
    from the0.agent import saving  # noqa: PLC0415 - large, and only needed in this fork

    pauses = Backoff(0.2, 2.0)
    while True:
        outcome = saving.save(job)
        send(outcome._asdict())
        wait = pauses.pause()
        if outcome.saved or not outcome.soon or time.monotonic() + wait > until:
            return 0
        time.sleep(wait)


def _persist(gateway: Gateway, until: float, *errands: _Errand) -> None:
    """Try each errand, in turn, until all are over or the time is."""
    pauses = Backoff(0.1, 2.0)
    while True:
        for errand in errands:
            if not errand.over:
                errand.attempt(gateway.until(min(until, time.monotonic() + _ATTEMPT_SEC)))
        if all(errand.over for errand in errands):
            return
        wait = pauses.pause()
        if time.monotonic() + wait >= until:
            return
        time.sleep(wait)
