"""State from the volume to the store: hash, snapshot, upload. Only for short-lived forks."""

from __future__ import annotations

import os
from typing import NamedTuple

from the0.agent import files, generations
from the0.agent.client import Body, Gateway, Refused, Unavailable
from the0.agent.generations import Mark, Present
from the0.agent.job import Job
from the0.agent.restore import ask_stored
from the0.agent.snapshot import NotStorable, Snapshot, check, take
from the0.agent.tree import EMPTY, hash_folder, listing

_SILENT_SEC = 60.0
_SLOWEST_BYTES_PER_SEC = 1 << 20


class Outcome(NamedTuple):
    """Whether the store holds what the volume does; if not, the `reason` and `message` of the
    condition `StateNotSaved`, whether the same attempt may succeed `soon`, and what the message is
    about."""

    saved: bool
    reason: str = ""
    message: str = ""
    soon: bool = False
    subject: str = ""


def save(job: Job) -> Outcome:
    """Store the state if it is not what is stored already. Never raises for what the bot, the
    disk or the gateway does."""
    try:
        state, var = files.open_folder(job.paths.state), files.open_folder(job.paths.var)
        return _save(state, var, job)
    except NotStorable as error:
        return Outcome(False, "NotStorable", str(error), subject=error.subject)
    except files.TooDeep as error:
        return Outcome(False, "NotStorable", f"state not saved: {error}")
    except Refused as error:
        return Outcome(False, _REASONS.get(error.code, "Refused"), f"state not saved: {error}")
    except Unavailable as error:
        return Outcome(False, "GatewayUnavailable", f"state not saved yet: {error}", soon=True)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        return Outcome(False, "Unreadable", f"state not saved: {name}{error.strerror}", soon=True)


_REASONS = {"conflict": "Conflict", "superseded": "Superseded", "checksum": "Checksum"}


def _save(state: int, var: int, job: Job) -> Outcome:
    limits = job.launch.sync
    mark = generations.load(var) or Mark(tree=EMPTY)
    check(listing(state), limits)
    if mark.pending:
        mark = _resolve(mark, var, job.gateway)
    if mark.is_certain and hash_folder(state) == mark.tree:
        return Outcome(True)
    with (snapshot := take(state, var, limits)).file:
        generation = os.urandom(16).hex()
        generations.save(var, generations.sending(mark, generation, snapshot.tree))
        _upload(snapshot, mark.generation or "", generation, job)
    generations.save(var, Mark(generation, snapshot.tree))
    return Outcome(True)


def _resolve(mark: Mark, var: int, gateway: Gateway) -> Mark:
    """The mark after a look at whether one of its uploads arrived. One that did not yet may still
    do so, until a later one was certainly stored over it."""
    stored = ask_stored(gateway)
    if isinstance(stored, Present) and stored.generation in mark.pending:
        mark = generations.arrived(mark, stored)
        generations.save(var, mark)
    return mark


def _upload(snapshot: Snapshot, base: str, generation: str, job: Job) -> None:
    headers = {
        "X-The0-Generation": generation,
        "X-The0-Base": base,
        "X-The0-Tree": snapshot.tree,
        "X-The0-Sha256": snapshot.sha256,
    }
    body = Body(snapshot.file, snapshot.length)
    # The gateway says nothing until its store has answered; whoever asks again before that is told
    # to wait, and has sent everything in vain.
    silent_sec = job.launch.sync.store_sec + _SILENT_SEC + snapshot.length / _SLOWEST_BYTES_PER_SEC
    job.gateway.request("PUT", "/v1/state", body, headers, silent_sec=silent_sec)
