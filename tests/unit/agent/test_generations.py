"""The table of docs/gateway.md: whose state wins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.agent import generations
from the0.agent.generations import Absent, Action, Decision, Mark, Present, Unknown, decide

EMPTY = "empty"
GENERATIONS = st.sampled_from(["g1", "g2", "g3"])
TREES = st.sampled_from(["t1", "t2", EMPTY])
MARKS = st.none() | st.builds(
    Mark,
    st.none() | GENERATIONS,
    st.none() | TREES,
    st.lists(GENERATIONS).map(tuple),
    st.booleans(),
    st.none() | TREES,
)
PRESENT = st.builds(Present, GENERATIONS, TREES | st.just(""))
KEEP = st.sampled_from([None, "local", "stored"])


def never() -> str:
    raise AssertionError("the volume was read though it does not matter")


@given(MARKS, KEEP)
def test_an_uncertain_answer_touches_nothing(mark: Mark | None, keep: str | None) -> None:
    assert decide(Unknown(), mark, never, EMPTY, keep) == Decision(Action.ASK_AGAIN)


@given(MARKS, KEEP)
def test_with_nothing_stored_the_volume_is_used(mark: Mark | None, keep: str | None) -> None:
    action, after = decide(Absent(), mark, never, EMPTY, keep)
    assert action is Action.USE
    assert (after.generation, after.tree) == (None, EMPTY)


@given(PRESENT, MARKS, TREES, KEEP)
def test_an_unfinished_restore_is_always_done_again(
    stored: Present, mark: Mark | None, tree: str, keep: str | None
) -> None:
    mark = (mark or Mark())._replace(restoring=True)
    assert decide(stored, mark, never, EMPTY, keep).action is Action.RESTORE


@given(PRESENT, MARKS, TREES, KEEP)
def test_a_changed_volume_is_never_overwritten_unasked(
    stored: Present, mark: Mark | None, tree: str, keep: str | None
) -> None:
    action, _ = decide(stored, mark, lambda: tree, EMPTY, keep)
    changed = tree != (mark.tree if mark else EMPTY)
    unfinished = mark is not None and mark.restoring
    if changed and not unfinished and action is Action.RESTORE:
        assert keep == "stored"


@given(PRESENT, MARKS, TREES, KEEP)
def test_what_is_used_follows_the_stored_generation(
    stored: Present, mark: Mark | None, tree: str, keep: str | None
) -> None:
    action, after = decide(stored, mark, lambda: tree, EMPTY, keep)
    if action is Action.USE:
        assert after.generation == stored.generation
        assert not after.restoring


@given(PRESENT, MARKS, TREES, KEEP)
def test_a_stored_state_that_is_not_ours_is_never_overwritten_unasked(
    stored: Present, mark: Mark | None, tree: str, keep: str | None
) -> None:
    known = (mark.generation, *mark.pending) if mark else ()
    action, _ = decide(stored, mark, lambda: tree, EMPTY, keep)
    if action is Action.USE and stored.generation not in known:
        assert tree == stored.tree or keep == "local"


@pytest.mark.parametrize(
    ("mark", "tree", "keep", "expected"),
    [
        (None, EMPTY, None, Action.RESTORE),
        (None, "t2", None, Action.CONFLICT),
        (None, "t1", None, Action.USE),
        (Mark("g1", "t1"), never, None, Action.USE),
        (Mark("g0", "t0", pending=("g7", "g1")), never, None, Action.USE),
        (Mark("g0", "t0"), "t0", None, Action.RESTORE),
        (Mark("g0", "t0"), "t1", None, Action.USE),
        (Mark("g0", "t0"), "t2", None, Action.CONFLICT),
        (Mark("g0", "t0"), "t2", "local", Action.USE),
        (Mark("g0", "t0"), "t2", "stored", Action.RESTORE),
    ],
)
def test_each_row_with_generation_g1_and_tree_t1_stored(
    mark: Mark | None, tree: object, keep: str | None, expected: Action
) -> None:
    read = never if tree is never else (lambda: str(tree))
    assert decide(Present("g1", "t1"), mark, read, EMPTY, keep).action is expected


def test_an_upload_that_arrived_becomes_the_generation() -> None:
    decision = decide(Present("g1", "t1"), Mark("g0", "t0", pending=("g7", "g1")), never, EMPTY)
    assert decision.mark == Mark("g1", "t1", pending=("g7",))


@given(
    st.builds(Mark, st.none() | st.text(), st.none() | st.text(), st.lists(st.text()).map(tuple))
)
def test_a_mark_is_read_as_it_was_written(mark: Mark) -> None:
    folder = os.open(os.environ["TMPDIR"], os.O_RDONLY | os.O_DIRECTORY)
    try:
        generations.save(folder, mark)
        assert generations.load(folder) == mark
    finally:
        os.unlink("state.json", dir_fd=folder)
        os.close(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"generation": "g"}', b"x" * 5000])
def test_a_broken_mark_is_no_mark(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.json").write_bytes(content)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        assert generations.load(folder) is None
    finally:
        os.close(folder)
