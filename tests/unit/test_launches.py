from __future__ import annotations

import json
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from the0 import launches
from the0.errors import InvalidInput
from the0.files import write_atomic
from the0.launches import Launch, LaunchExit, LaunchStatus, LaunchStore, parse_status


def new(bot_id: str = "bot", **changed: Any) -> tuple[Launch, str]:
    return Launch.new(
        **{
            "installation": "i",
            "bot_id": bot_id,
            "kind": "realtime",
            "code_key": "u/b/1",
            "document": {"config": "{}"},
            **changed,
        }
    )


@pytest.fixture
def store(tmp_path: Path) -> LaunchStore:
    return LaunchStore(tmp_path)


def test_a_launch_comes_back_as_it_was_written(store: LaunchStore) -> None:
    launch, token = new(document={"config": '{"key": 12345678901234567890}'})
    store.write(launch)
    assert store.read(launch.launch) == launch == LaunchStore(store.directory).read(launch.launch)
    assert launch.document["launch"] == launch.launch
    assert launch.accepts(token)
    assert not launch.accepts(token[:-1])


def test_the_file_is_the_owners_alone_and_has_no_token(store: LaunchStore) -> None:
    launch, token = new()
    store.write(launch)
    path = store.directory / f"{launch.launch}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token not in path.read_text()
    assert set(json.loads(path.read_text())) == {
        *("launch", "token_sha256", "installation", "bot_id", "kind", "created"),
        *("writes_state", "superseded_by", "code_key", "document"),
    }


@pytest.mark.parametrize("name", ["", "../x", "A" * 32, "a" * 31, "a" * 32 + "\n", "a" * 32])
def test_no_other_file_is_ever_read(store: LaunchStore, name: str) -> None:
    assert store.read(name) is None


def test_a_change_is_seen_by_a_store_that_read_it_before(store: LaunchStore) -> None:
    launch, _ = new()
    store.write(launch)
    other = LaunchStore(store.directory)
    assert other.read(launch.launch) == launch
    store.supersede("bot", by="b" * 32)
    found = other.read(launch.launch)
    assert found is not None
    assert found.superseded_by == "b" * 32
    store.remove(launch.launch)
    assert other.read(launch.launch) is None


def test_supersede_spares_other_bots_and_the_successor(store: LaunchStore) -> None:
    old, newer, other = new()[0], new()[0], new("another")[0]
    for one in (old, newer, other):
        store.write(one)
    store.supersede("bot", by=newer.launch)
    state = {one.launch: one.superseded_by for one in store.all()}
    assert state == {old.launch: newer.launch, newer.launch: None, other.launch: None}


def test_status_and_result_live_and_die_with_the_launch(store: LaunchStore) -> None:
    launch, _ = new()
    store.write(launch)
    assert store.status(launch.launch) is None
    store.write_status(launch.launch, LaunchStatus("running"))
    store.write_result(launch.launch, b"{}")
    assert store.result(launch.launch) == b"{}"
    assert [one.launch for one in store.all()] == [launch.launch]
    store.remove(launch.launch)
    store.write_status(launch.launch, LaunchStatus("ended"))
    store.write_result(launch.launch, b"{}")
    assert list(store.directory.iterdir()) == []


def test_a_late_status_does_not_take_the_place_of_the_end(
    store: LaunchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one before the end is still on its way to the disk when the end comes."""
    launch, _ = new()
    store.write(launch)
    slow, go_on = threading.Event(), threading.Event()

    def write(path: Path, data: bytes, **options: bool) -> None:
        if b"stopping" in data:
            slow.set()
            go_on.wait(0.3)
        write_atomic(path, data, **options)

    monkeypatch.setattr(launches, "write_atomic", write)
    with ThreadPoolExecutor(2) as pool:
        pool.submit(store.write_status, launch.launch, LaunchStatus("stopping"))
        assert slow.wait(60)
        pool.submit(store.write_status, launch.launch, LaunchStatus("ended")).result()
        go_on.set()
    found = store.status(launch.launch)
    assert found is not None
    assert found.phase == "ended"


def test_what_comes_after_the_end_is_passed_over(store: LaunchStore) -> None:
    launch, _ = new()
    store.write(launch)
    end = LaunchStatus("ended", (), LaunchExit(3, None, "exited", 1, state_saved=True))
    for status in (end, LaunchStatus("syncing")):
        store.write_status(launch.launch, status)
    assert store.status(launch.launch) == end


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"phase": "flying"}'])
def test_a_broken_file_gives_no_right_and_stops_nobody(store: LaunchStore, text: str) -> None:
    (store.directory / f"{'a' * 32}.json").write_text(text)
    (store.directory / f"{'a' * 32}.status.json").write_text(text)
    launch, _ = new()
    store.write(launch)
    store.write_status(launch.launch, LaunchStatus("running"))
    assert store.all() == [launch]
    assert set(store.statuses_changed_since({})) == {launch.launch}


def test_only_changed_statuses_are_told(store: LaunchStore) -> None:
    launches = [new()[0] for _ in range(3)]
    for one in launches:
        store.write(one)
        store.write_status(one.launch, LaunchStatus("starting"))
    seen = {launch: mtime for launch, (mtime, _) in store.statuses_changed_since({}).items()}
    assert set(seen) == {one.launch for one in launches}
    assert store.statuses_changed_since(seen) == {}
    store.write_status(launches[1].launch, LaunchStatus("running"))
    changed = store.statuses_changed_since(seen)
    assert {launch: status.phase for launch, (_, status) in changed.items()} == {
        launches[1].launch: "running"
    }


def test_a_status_survives_its_file() -> None:
    given = {
        "phase": "ended",
        "conditions": [
            {"type": "StateNotSaved", "status": True, "reason": "TooLarge", "message": "x" * 9000}
        ],
        "exit": {
            "code": 137,
            "signal": 9,
            "reason": "disk",
            "peak_memory_bytes": 1,
            "state_saved": False,
        },
        "time": "2026-01-31T12:00:00+00:00",
        "field of a later version": 1,
    }
    status = parse_status(given)
    assert parse_status(json.loads(json.dumps(status.to_json()))) == status
    assert status.exit is not None
    assert (status.exit.code, status.exit.signal) == (137, 9)
    assert len(status.conditions[0].message) == 2000


@pytest.mark.parametrize(
    "given",
    [
        None,
        [],
        {},
        {"phase": "flying"},
        {"phase": ["running"]},
        {"phase": "running", "conditions": [1]},
        {"phase": "running", "conditions": [{"type": 1, "status": True}]},
        {"phase": "ended", "exit": {"code": "0", "reason": "exited"}},
        {"phase": "ended", "exit": {"code": 0, "reason": "boredom"}},
        {"phase": "ended", "exit": 7},
    ],
)
def test_what_is_no_status_is_refused(given: Any) -> None:
    if isinstance(given, dict):
        given["time"] = "2026-01-31T12:00:00+00:00"
    with pytest.raises(InvalidInput):
        parse_status(given)
