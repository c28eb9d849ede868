"""Which other installation of the same MongoDB counts as alive."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from the0.core.installation import shared_text, signs_of_life
from the0.core.leader import Leadership
from the0.models import BotType, Container, ContainerState
from the0.repository import Installation
from the0.state_dir import StateDir

ENGINE = "engine-1"


@pytest.fixture
def other(tmp_path: Path) -> Installation:
    """One of this machine and engine, with nothing running."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Installation("other", "id-of-other", ENGINE, socket.gethostname(), tmp_path, at)


def containers(*states: ContainerState) -> Sequence[Container]:
    return [Container("ref", "name", "bot", BotType.REALTIME, state) for state in states]


def signs(other: Installation, *states: ContainerState) -> Sequence[str]:
    return signs_of_life([other], ENGINE, lambda _: containers(*states))


def test_one_that_left_nothing_running_is_no_hindrance(other: Installation) -> None:
    assert signs(other) == []
    assert signs(other, ContainerState.EXITED, ContainerState.DEAD) == []


@pytest.mark.parametrize("role", ["runner_lock", "scheduler_lock"])
def test_one_whose_host_holds_its_lock_is_alive(other: Installation, role: str) -> None:
    state_dir = StateDir(other.state_dir)
    state_dir.make()
    lock = Leadership(getattr(state_dir, role))
    assert lock.try_acquire()
    (sign,) = signs(other)
    assert "its host runs" in sign
    lock.release()
    assert signs(other) == []


@pytest.mark.parametrize("state", [ContainerState.RUNNING, ContainerState.UNKNOWN])
def test_one_whose_host_is_gone_but_not_its_bots_is_alive(
    other: Installation, state: ContainerState
) -> None:
    assert signs(other, state) == ["'other' (bots of it run: 1)"]


def test_containers_of_another_engine_are_not_asked_for_here(other: Installation) -> None:
    assert signs(replace(other, engine="engine-2"), ContainerState.RUNNING) == []


def test_one_of_another_machine_counts_as_alive(other: Installation) -> None:
    found = signs(replace(other, host="elsewhere"))
    assert found == ["'other' (on the machine elsewhere)"]
    assert "'other'" in shared_text(found)
