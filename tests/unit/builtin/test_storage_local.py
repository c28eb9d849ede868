"""The storage on a plain folder: the conformance suite, and what is its own."""

from __future__ import annotations

import io
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.builtin.storage_local import LocalSettings, LocalStorage, path_of
from the0.errors import Conflict, InvalidInput, NotFound, Unavailable
from the0.plugin.interfaces import PluginArgs
from the0.testing.storage import StorageConformance, get, put


def make(state_dir: Path, folder: str = "") -> LocalStorage:
    return LocalStorage(PluginArgs("t", "", state_dir, {LocalSettings: LocalSettings(folder)}))


class TestConformance(StorageConformance):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> LocalStorage:
        storage = make(tmp_path / "state")
        storage.ping()
        return storage

    def make_unreachable(self) -> LocalStorage:
        return make(Path("/unused"), "/nowhere/at/all")


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    storage = make(tmp_path)
    storage.ensure_bucket("b")
    return storage


def test_a_folder_that_is_named_is_never_made(tmp_path: Path) -> None:
    storage = make(tmp_path, str(tmp_path / "not-mounted"))
    with pytest.raises(Unavailable, match="not-mounted"):
        storage.ensure_bucket("b")
    assert not (tmp_path / "not-mounted").exists()


def test_an_object_and_a_folder_may_have_one_name(storage: LocalStorage) -> None:
    keys = ["a", "a/", "a/b", "a+", "a+/b", "../x", "./x", "..", "", "//", "a%2Fb"]
    for key in keys:
        put(storage, "b", key, key.encode())
    assert [one.key for one in storage.list("b", "")] == sorted(keys)
    assert all(get(storage, "b", key) == key.encode() for key in keys)


def test_nothing_is_written_outside_the_bucket(storage: LocalStorage, tmp_path: Path) -> None:
    put(storage, "b", "../../x", b"1")
    assert {path.name for path in tmp_path.iterdir()} == {"storage"}
    assert {path.name for path in (tmp_path / "storage").iterdir()} == {"b"}


_NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(_NAMES, _NAMES)
def test_two_keys_never_share_a_file(one: str, other: str) -> None:
    assert (path_of(one) == path_of(other)) == (one == other)
    assert not {".", ".."} & set(path_of(one).parts)


def test_a_key_that_no_file_can_be_is_refused(storage: LocalStorage) -> None:
    for key in ("x" * 300, "\ud800"):
        with pytest.raises(InvalidInput):
            put(storage, "b", key, b"")


def test_a_put_may_depend_on_what_is_stored(storage: LocalStorage) -> None:
    def put_if(etag: str | None, content: bytes) -> str:
        return storage.put("b", "k", io.BytesIO(content), len(content), if_etag=etag).etag

    first = put_if("", b"1")
    with pytest.raises(Conflict):
        put_if("", b"2")
    second = put_if(first, b"2")
    with pytest.raises(Conflict):
        put_if(first, b"3")
    assert get(storage, "b", "k") == b"2"
    assert storage.head("b", "k").etag == second


def test_of_many_writers_at_once_one_wins(storage: LocalStorage) -> None:
    def try_put(number: int) -> bool:
        try:
            storage.put("b", "k", io.BytesIO(b"%d" % number), 1, if_etag="")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(try_put, range(8))) == 1


def test_deleting_leaves_no_empty_folders(storage: LocalStorage, tmp_path: Path) -> None:
    put(storage, "b", "deep/er/object", b"1")
    storage.delete("b", "deep/er/object")
    left = [path.name for path in (tmp_path / "storage" / "b").rglob("*")]
    assert left == [".lock"]


def test_a_damaged_object_is_no_missing_one(storage: LocalStorage, tmp_path: Path) -> None:
    put(storage, "b", "k", b"1")
    (tmp_path / "storage" / "b" / "k").write_bytes(b"half a he")
    with pytest.raises(Unavailable, match="damaged"):
        storage.head("b", "k")
    with pytest.raises(NotFound):
        storage.head("b", "other")


def test_what_a_cut_off_put_left_is_removed_in_time(storage: LocalStorage, tmp_path: Path) -> None:
    bucket = tmp_path / "storage" / "b"
    old, young = bucket / ".1.tmp", bucket / ".2.tmp"
    for path in (old, young):
        path.touch()
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    storage.ensure_bucket("b")
    assert not old.exists()
    assert young.exists()
    assert list(storage.list("b", "")) == []
