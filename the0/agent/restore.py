"""State from the store to the volume. Only for short-lived forks: imports what is large."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import BinaryIO

from the0.agent import files, generations
from the0.agent.client import Gateway, Unavailable, drain_to
from the0.agent.generations import Absent, Action, Decision, Mark, Present, decide
from the0.agent.job import Job
from the0.agent.linux import sync_filesystem
from the0.agent.tree import EMPTY, RESTORING, hash_folder


class StateConflict(Exception):
    """The state was changed on both sides; a person has to choose."""


def prepare(job: Job) -> bool:
    """Bring the volume to what the bot is to find there; whether it is to be saved from now on.
    Raises Unavailable for every uncertain answer, before anything was touched, and
    StateConflict."""
    launch = job.launch
    state, var = files.open_folder(job.paths.state), files.open_folder(job.paths.var)
    try:
        if launch.kind == "query":
            _copy(state, var, job)
            return False
        decision = _decide(state, var, job)
        if decision.action is Action.CONFLICT:
            raise StateConflict(
                "the state was changed both here and in the store: "
                f"choose with `the0 bot state keep {launch.bot_id} local` or `... stored`"
            )
        if decision.action is Action.USE:
            files.remove(state, RESTORING)
            generations.save(var, decision.mark)
        elif launch.kind != "flush":
            _restore(state, var, job)
        return launch.kind != "flush" or decision.action is Action.USE
    except (OSError, files.TooDeep) as error:
        raise Unavailable(f"the state on the volume cannot be used: {error}") from error
    finally:
        os.close(state)
        os.close(var)


def _decide(state: int, var: int, job: Job) -> Decision:
    return decide(
        ask_stored(job.gateway),
        generations.load(var),
        lambda: hash_folder(state),
        EMPTY,
        job.launch.keep,
    )


def ask_stored(gateway: Gateway) -> Absent | Present:
    """What the store holds. Raises Unavailable."""
    answer = gateway.request("HEAD", "/v1/state")
    return _stored(answer.status, answer.headers)


def _stored(status: int, headers: Mapping[str, str]) -> Absent | Present:
    if status == 204:
        return Absent()
    generation = headers.get("x-the0-generation")
    if status != 200 or not generation:
        raise Unavailable(f"the gateway's answer about the stored state is strange: {status}")
    return Present(generation, headers.get("x-the0-tree", ""))


def _copy(state: int, var: int, job: Job) -> None:
    """What is stored, for a container that begins with nothing and stores nothing: there is no
    older state to compare it with, or to keep."""
    # Imported by whoever waited for this job already.
    from the0.agent.unpacking import Damaged, unpack  # noqa: PLC0415

    files.clear(state)
    with open(files.spool(var), "w+b") as file:
        answer = job.gateway.get("/v1/state", drain_to(file.fileno()))
        stored = _stored(answer.status, answer.headers)
        if isinstance(stored, Absent):
            return
        file.seek(0)
        try:
            unpack(file, state, job.launch.sync.max_state_bytes)
        except Damaged as error:
            raise Unavailable(f"the stored state is damaged: {error}") from error
    if stored.tree not in ("", hash_folder(state)):
        raise Unavailable("the stored state is damaged: its content does not match its hash")


def _restore(state: int, var: int, job: Job) -> None:
    with open(files.spool(var), "w+b") as file:
        answer = job.gateway.get("/v1/state", drain_to(file.fileno()))
        stored = _stored(answer.status, answer.headers)
        if not isinstance(stored, Present):
            raise Unavailable("the stored state vanished while it was being fetched")
        file.seek(0)
        tree = _unpack(file, state, job.launch.sync.max_state_bytes)
    if stored.tree not in ("", tree):
        raise Unavailable("the stored state is damaged: its content does not match its hash")
    _swap(state, var, Mark(stored.generation, tree))


def _unpack(file: BinaryIO, state: int, most_bytes: int) -> str:
    """Unpack beside the old tree; the tree hash of what is there then."""
    # Most starts do not get here, and this costs them milliseconds.
    from the0.agent.unpacking import Damaged, unpack  # noqa: PLC0415

    files.remove(state, RESTORING)
    os.mkdir(RESTORING, 0o755, dir_fd=state)
    folder = files.open_folder(RESTORING, state)
    try:
        unpack(file, folder, most_bytes)
        return hash_folder(folder)
    except Damaged as error:
        raise Unavailable(f"the stored state is damaged: {error}") from error
    finally:
        os.close(folder)


def _swap(state: int, var: int, mark: Mark) -> None:
    """Put the unpacked tree in the place of the old one. A death in between leaves a mark by which
    the next start restores again."""
    before = generations.load(var) or Mark()
    generations.save(var, before._replace(restoring=True))
    files.clear(state, keep=RESTORING)
    folder = files.open_folder(RESTORING, state)
    try:
        for name in os.listdir(folder):
            os.rename(name, name, src_dir_fd=folder, dst_dir_fd=state)
    finally:
        os.close(folder)
    os.rmdir(RESTORING, dir_fd=state)
    sync_filesystem(state)
    generations.save(var, mark)
