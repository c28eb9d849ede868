"""The fork that brings everything a bot needs: launch document, code, state."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from the0.agent.backoff import Backoff
from the0.agent.client import Gateway, Refused, Unavailable
from the0.agent.job import Job
from the0.agent.launch import InvalidLaunch, Launch, parse
from the0.agent.paths import Paths
from the0.agent.status import Condition
from the0.agent.workers import Send

READY = 0
HOPELESS = 3

NO_JOB = 4

T = TypeVar("T")


class NoJob(Exception):
    """The launch waits for its job."""


def prepare(paths: Paths, gateway: Gateway, send: Send) -> int:
    """Prepare a launch, asking for as long as it takes. Sends the messages `document`, `phase`,
    `condition`, `say` and `state`; READY, NO_JOB when the launch waits for its job, or HOPELESS
    after a condition that says why."""
    try:
        launch = fetch_document(gateway, send)
    except NoJob:
        return NO_JOB
    if launch is None:
        return HOPELESS
    job = Job(paths, gateway, launch)
    if launch.kind != "flush" and not _fetch_code(job, send):
        return HOPELESS
    return _prepare_state(job, send)


def fetch_document(gateway: Gateway, send: Send) -> Launch | None:
    """The launch, asked for as long as it takes, and sent as `document`; None after the reason why
    there cannot be one was sent. Raises NoJob."""
    document = _patiently("LaunchUnavailable", send, partial(_ask, gateway))
    try:
        launch = parse(document)
    except InvalidLaunch as error:
        send({"say": str(error)})
        return None
    send({"document": document})
    return launch


def _ask(gateway: Gateway) -> Any:
    answer = gateway.get("/v1/launch")
    if answer.status == 204:
        raise NoJob
    return answer.json()


def _fetch_code(job: Job, send: Send) -> bool:
    from the0.agent import bundle  # noqa: PLC0415 - large, and only needed in this fork

    send({"phase": "fetching"})
    try:
        _patiently("CodeUnavailable", send, lambda: bundle.fetch(job))
    except bundle.InvalidCode as error:
        send(condition("CodeInvalid", "Invalid", str(error)))
        return False
    return True


def _prepare_state(job: Job, send: Send) -> int:
    from the0.agent import restore  # noqa: PLC0415 - large, and only needed in this fork

    send({"phase": "restoring"})
    pauses = Backoff()
    while True:
        try:
            attempt = partial(restore.prepare, job)
            unsaved = _patiently("StateUnavailable", send, attempt)
        except restore.StateConflict as error:
            send(condition("StateConflict", "BothChanged", str(error)))
            if job.launch.kind == "flush":
                return HOPELESS
            time.sleep(pauses.pause())
            # The answer of a person arrives in the document.
            answer = _patiently("LaunchUnavailable", send, partial(job.gateway.get, "/v1/launch"))
            job = job._replace(launch=parse(answer.json()))
            continue
        send(cleared("StateConflict"))
        send({"state": unsaved})
        return READY


def _patiently(kind: str, send: Send, attempt: Callable[[], T]) -> T:
    """What `attempt` returns, tried until it does; what is in the way is told once per change."""
    pauses, told = Backoff(), ""
    while True:
        try:
            result = attempt()
        except (Unavailable, Refused) as error:
            if str(error) != told:
                told = str(error)
                send(condition(kind, "Unavailable", told))
            wait = pauses.pause()
            time.sleep(max(wait, getattr(error, "retry_after", None) or 0.0))
            continue
        if told:
            send(cleared(kind))
        return result


def condition(kind: str, reason: str, message: str, subject: str = "") -> dict[str, object]:
    """The message that something is wrong."""
    return {"condition": Condition(kind, True, reason, message, subject)._asdict()}


def cleared(kind: str) -> dict[str, object]:
    """The message that something is not wrong any more."""
    return {"condition": Condition(kind, False)._asdict()}
