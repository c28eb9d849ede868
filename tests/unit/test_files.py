from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from the0.files import write_atomic


def test_content_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"secret")
    assert path.read_bytes() == b"secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write_atomic(path, [b"a", b"b"], mode=0o644)
    assert path.read_bytes() == b"ab"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_pieces_that_break_off_leave_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def pieces() -> Iterator[bytes]:
        yield b"new"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        write_atomic(path, pieces())
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("durable", [True, False])
def test_only_what_is_to_last_is_synced(tmp_path: Path, durable: bool) -> None:
    with patch("os.fsync") as fsync:
        write_atomic(tmp_path / "file", b"x", durable=durable)
    assert (tmp_path / "file").read_bytes() == b"x"
    assert bool(fsync.mock_calls) == durable
