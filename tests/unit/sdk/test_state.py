"""State of a bot: what stands on disk, and what happens when a write or a file is broken."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0 import state
from the0.sdk import state as sdk_state

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/sdk.json").read_text())["state"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("QUERY_PATH", raising=False)
    monkeypatch.setattr(sdk_state, "_served", False)
    return tmp_path / "state"


@pytest.mark.parametrize("case", VECTORS["files"], ids=lambda case: case["key"])
def test_each_key_is_one_json_file(folder: Path, case: dict) -> None:
    state.set(case["key"], case["value"])
    assert json.loads((folder / case["file"]).read_text()) == case["value"]
    assert state.get(case["key"], "default") == case["value"]
    assert state.exists(case["key"])
    assert os.listdir(folder) == [case["file"]]


@pytest.mark.parametrize("key", [*VECTORS["bad_keys"], "nul\0"])
@pytest.mark.parametrize("call", [state.get, state.delete, state.exists])
def test_keys_that_lead_elsewhere_are_refused(folder: Path, call, key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        call(key)
    with pytest.raises(ValueError, match="key"):
        state.set(key, 1)


@pytest.mark.parametrize("text", VECTORS["broken_files"])
def test_a_broken_file_is_an_error_that_names_it(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "positions.json").write_text(text)
    with pytest.raises(state.CorruptStateError, match=r"positions\.json"):
        state.get("positions", "default")
    assert (folder / "positions.json").read_text() == text


def test_a_file_that_is_not_text_is_an_error_that_names_it(folder: Path) -> None:
    folder.mkdir()
    (folder / "x.json").write_bytes(b'"\xff"')
    with pytest.raises(state.CorruptStateError, match=r"x\.json"):
        state.get("x")


def test_missing_keys_and_a_missing_folder_are_empty(folder: Path) -> None:
    assert state.get("x") is None
    assert state.get("x", 5) == 5
    assert state.list() == []
    assert not state.exists("x")
    assert not state.delete("x")
    state.clear()


def test_list_delete_and_clear(folder: Path) -> None:
    for key in ("b", "a", "c.d"):
        state.set(key, 1)
    (folder / "other.txt").write_text("not a key")
    assert state.list() == ["a", "b", "c.d"]
    assert state.delete("b")
    assert state.list() == ["a", "c.d"]
    state.clear()
    assert state.list() == []
    assert (folder / "other.txt").exists()


@pytest.mark.parametrize("value", [object(), {1, 2}, {"a": b""}])
def test_what_json_cannot_hold_changes_nothing(folder: Path, value: object) -> None:
    state.set("x", "old")
    with pytest.raises(TypeError):
        state.set("x", value)
    assert state.get("x") == "old"
    assert os.listdir(folder) == ["x.json"]


def test_a_full_disk_leaves_the_old_value_and_no_scraps(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.set("x", "old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        state.set("x", "new")
    assert state.get("x") == "old"
    assert os.listdir(folder) == ["x.json"]


def test_queries_may_only_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state.set("x", 1)
    monkeypatch.setenv("QUERY_PATH", "/positions")
    for change in (lambda: state.set("x", 2), lambda: state.delete("x"), state.clear):
        with pytest.raises(state.ReadOnlyStateError):
            change()
    assert state.get("x") == 1


def test_a_query_server_may_only_read(folder: Path) -> None:
    sdk_state.serve_read_only()
    with pytest.raises(state.ReadOnlyStateError):
        state.set("x", 2)


def test_readers_and_writers_at_once_never_see_half_a_value(folder: Path) -> None:
    values = ["a" * 100_000, "b" * 200_000]
    state.set("x", values[0])
    done = threading.Event()

    def write(value: str) -> None:
        for _ in range(30):
            state.set("x", value)

    writers = [threading.Thread(target=write, args=(value,)) for value in values]
    reads = []

    def read() -> None:
        while not done.is_set():
            reads.append(state.get("x") in values)

    reader = threading.Thread(target=read)
    for thread in (reader, *writers):
        thread.start()
    for writer in writers:
        writer.join()
    done.set()
    reader.join()
    assert reads
    assert all(reads)


KILLED = """
import os
from the0.sdk import files
os.replace = lambda *_: os.kill(os.getpid(), 9)
from the0 import state
state.set("x", "new" * 1000)
"""


def test_a_kill_in_the_middle_of_a_write_leaves_the_old_value(folder: Path) -> None:
    state.set("x", "old")
    for _ in range(2):
        ended = subprocess.run([sys.executable, "-c", KILLED], timeout=60, check=False)
        assert ended.returncode == -9
    assert state.get("x") == "old"
    assert state.list() == ["x"]


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_every_json_value_comes_back_the_same(
    value: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATE_DIR", str(tmp_path_factory.getbasetemp() / "roundtrip"))
        patch.delenv("QUERY_PATH", raising=False)
        patch.setattr(sdk_state, "_served", False)
        state.set("value", value)
        assert state.get("value") == value
