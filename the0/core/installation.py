"""One MongoDB, one installation: two of them would both run every bot.

Others that ever worked from the same MongoDB have their records there. Those of this machine are
looked at (does a host hold their lock, do containers of theirs run); one of another machine counts
as alive, because nothing here can tell.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from the0.core.leader import is_held
from the0.errors import Conflict
from the0.models import Container, ContainerState, Purpose
from the0.repository import Installation, Repository
from the0.state_dir import StateDir

Look = Callable[[str], Sequence[Container]]
"""All containers of the installation with this id on this engine; blocks."""

SHARED_FIX = (
    "Set THE0_INSTANCE to its name to be that one, or MONGO_URI to another server; or stop its "
    "host and its bots (runner.stop_bots_on_exit). One on a machine that is gone for good: delete "
    "its document of the collection `installations`."
)
ENDED = (ContainerState.EXITED, ContainerState.DEAD, ContainerState.REMOVING)


@dataclass(frozen=True)
class Claim:
    """What an installation is claimed with: its instance, the id of its engine, where its state
    directory is, and how to see the containers of others on the engine."""

    instance: str
    engine_id: str
    state_dir: Path
    look: Look


async def claim(repository: Repository, mine: Claim) -> str:
    """The installation's id. Raises Conflict naming the holder when the instance belongs to
    another engine, or when another installation that may be alive works from this MongoDB."""
    installation = await repository.claim_installation(
        mine.instance, mine.engine_id, mine.state_dir
    )
    # Claimed first and looked at then, so that of two that start at once at least one sees it.
    others = await repository.other_installations(mine.instance)
    if signs := await asyncio.to_thread(signs_of_life, others, mine.engine_id, mine.look):
        raise Conflict(f"{shared_text(signs)} {SHARED_FIX}")
    return installation


def signs_of_life(others: Iterable[Installation], engine_id: str, look: Look) -> Sequence[str]:
    """For each of `others` that may be alive: its name, and why it counts as alive. Blocks."""
    seen = ((other, _sign_of_life(other, engine_id, look)) for other in others)
    return [f"{other.instance!r} ({sign})" for other, sign in seen if sign]


def shared_text(signs: Sequence[str]) -> str:
    """What to tell a person when there are `signs` of others."""
    return (
        f"This MongoDB is that of another installation: {', '.join(signs)}. "
        "Both would run every bot."
    )


def _sign_of_life(other: Installation, engine_id: str, look: Look) -> str:
    if other.host != socket.gethostname():
        return f"on the machine {other.host}"
    its = StateDir(other.state_dir)
    if is_held(its.runner_lock) or is_held(its.scheduler_lock):
        return f"its host runs, with the state directory {other.state_dir}"
    if other.engine == engine_id:
        bots = [one for one in look(other.id) if one.purpose is Purpose.BOT]
        alive = sum(one.state not in ENDED for one in bots)
        return f"bots of it run: {alive}" if alive else ""
    return ""
