"""Whose state wins at a start: the store's or the volume's (the table of docs/gateway.md)."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from the0.agent import files


class Mark(NamedTuple):
    """What a volume remembers of the store: the `generation` and `tree` it last held in common
    with it; `pending`, the generations of uploads whose outcome is unknown; `restoring`, whether a
    restore began and did not end; `pending_tree`, the tree of every pending upload, None where they
    differ. `generation` None: nothing was ever stored."""

    generation: str | None = None
    tree: str | None = None
    pending: tuple[str, ...] = ()
    restoring: bool = False
    pending_tree: str | None = None

    @property
    def is_certain(self) -> bool:
        """Whether the store holds `tree`, whichever of the pending uploads may still arrive."""
        return not self.pending or self.pending_tree == self.tree


class Unknown(NamedTuple):
    """The store did not say what it holds."""


class Absent(NamedTuple):
    """The store holds nothing: certain."""


class Present(NamedTuple):
    """The store holds this `generation`; `tree` is empty where somebody else wrote it."""

    generation: str
    tree: str


Stored = Unknown | Absent | Present


class Action(Enum):
    """What to do before the bot starts."""

    ASK_AGAIN = "ask again"
    USE = "use the volume"
    RESTORE = "restore from the store"
    CONFLICT = "ask a person"


class Decision(NamedTuple):
    """An action, and the mark with which the volume is used when it is USE."""

    action: Action
    mark: Mark = Mark()


def decide(
    stored: Stored,
    mark: Mark | None,
    volume_tree: Callable[[], str],
    empty_tree: str,
    keep: str | None = None,
) -> Decision:
    """Pure. `mark` is None where the volume has none; `volume_tree` is only called when it
    matters, because it reads the whole volume; `keep` is `local` or `stored`."""
    if isinstance(stored, Unknown):
        return Decision(Action.ASK_AGAIN)
    known = mark or Mark(tree=empty_tree)
    if isinstance(stored, Absent):
        absent = known._replace(generation=None, tree=empty_tree, restoring=False)
        return Decision(Action.USE, absent)
    if known.restoring:
        return Decision(Action.RESTORE)
    if stored.generation in known.pending:
        return Decision(Action.USE, arrived(known, stored))
    if stored.generation == known.generation:
        return Decision(Action.USE, known)
    return _other_generation(stored, known, volume_tree(), keep)


def _other_generation(stored: Present, known: Mark, tree: str, keep: str | None) -> Decision:
    if tree == known.tree:
        return Decision(Action.RESTORE)
    if tree == stored.tree or keep == "local":
        return Decision(Action.USE, Mark(stored.generation, stored.tree))
    return Decision(Action.RESTORE if keep == "stored" else Action.CONFLICT)


_NAME = "state.json"
_LIMIT = 4096
_MOST_PENDING = 32


def load(folder: int) -> Mark | None:
    """The mark in `folder` (`/var/the0`); None where there is none that can be understood."""
    content = files.read_small(folder, _NAME, _LIMIT)
    try:
        given: dict[str, Any] = json.loads(content or b"null")
        return Mark(
            _text(given["generation"]),
            _text(given["tree"]),
            tuple(str(one) for one in given["pending"]),
            bool(given["restoring"]),
            _text(given.get("pending_tree")),  # which older agents do not write
        )
    except (ValueError, KeyError, TypeError):
        return None


def save(folder: int, mark: Mark) -> None:
    """Write the mark so that a loss of power leaves either the old one or this one."""
    files.replace(folder, _NAME, json.dumps(mark._asdict()).encode(), durable=True)


def sending(mark: Mark, generation: str, tree: str) -> Mark:
    """The mark while an upload of `generation`, which holds `tree`, is under way."""
    same = not mark.pending or mark.pending_tree == tree
    return mark._replace(
        pending=(*mark.pending, generation)[-_MOST_PENDING:], pending_tree=tree if same else None
    )


def arrived(mark: Mark, stored: Present) -> Mark:
    """The mark once one of its uploads was seen in the store; the others may still arrive."""
    others = tuple(one for one in mark.pending if one != stored.generation)
    return Mark(stored.generation, stored.tree, others, pending_tree=mark.pending_tree)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
