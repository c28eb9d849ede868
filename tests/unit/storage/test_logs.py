"""Day objects of bots whose ids are alike, in a real store."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from the0.builtin.storage_local import LocalSettings, LocalStorage
from the0.plugin.interfaces import PluginArgs
from the0.storage.logs import LogStore
from the0.testing.storage import put


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    storage = LocalStorage(PluginArgs("t", "", tmp_path, {LocalSettings: LocalSettings("")}))
    storage.ensure_bucket("logs")
    return storage


def test_only_the_bots_own_days_are_removed(storage: LocalStorage) -> None:
    store = LogStore(storage, "logs")
    for bot_id in ("team", "team/a", "team/20260131.log", "team2"):
        for day in ("20260130", "20260131"):
            store.put(bot_id, day, io.BytesIO(b"x"), 1)
    put(storage, "logs", "logs/team/notes.txt", b"x")
    store.remove("team")
    store.remove("never stored")
    assert store.days("team") == []
    for other in ("team/a", "team/20260131.log", "team2"):
        assert store.days(other) == ["20260130", "20260131"]
    assert storage.head("logs", "logs/team/notes.txt").size == 1
