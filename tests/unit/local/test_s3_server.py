from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from the0.local.s3_server import repair


def described(content: bytes) -> str:
    return json.dumps({"etag": f'"{hashlib.md5(content).hexdigest()}"', "size": len(content)})


@pytest.mark.parametrize(
    ("half", "kept"),
    [
        (described(b"new"), described(b"new")),
        (described(b"another"), "old"),
        (described(b"new")[:-1], "old"),
        ("", "old"),
        ("[]", "old"),
    ],
)
def test_a_put_is_completed_where_its_metadata_fits(tmp_path: Path, half: str, kept: str) -> None:
    content = tmp_path / "bot-state/a.b/state.tar.gz"
    metadata = tmp_path / "bot-state/.nanio-meta/a.b/state.tar.gz.json"
    for path in (content, metadata):
        path.parent.mkdir(parents=True)
    content.write_bytes(b"new")
    metadata.write_text("old")
    metadata.with_suffix(".json.tmp").write_text(half)
    assert repair(tmp_path) == 1
    assert metadata.read_text() == kept
    assert [one.name for one in metadata.parent.iterdir()] == ["state.tar.gz.json"]
    assert repair(tmp_path) == 0


def test_a_fresh_directory_needs_nothing(tmp_path: Path) -> None:
    assert repair(tmp_path / "not there") == 0
