from __future__ import annotations

from pathlib import Path

from the0.local.rotation import rotate


def test_a_log_within_its_size_stays(tmp_path: Path) -> None:
    log = tmp_path / "host.log"
    log.write_bytes(b"x" * 10)
    assert not rotate(log, max_bytes=10)
    assert not rotate(tmp_path / "missing.log")
    assert [path.name for path in tmp_path.iterdir()] == ["host.log"]


def test_only_so_many_old_logs_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "host.log"
    for generation in (b"first", b"second", b"third", b"fourth"):
        log.write_bytes(generation)
        assert rotate(log, max_bytes=1, kept=2)
    assert log.read_bytes() == b""
    assert (tmp_path / "host.log.1").read_bytes() == b"fourth"
    assert (tmp_path / "host.log.2").read_bytes() == b"third"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_writer_goes_on_at_the_start_of_the_emptied_log(tmp_path: Path) -> None:
    log = tmp_path / "host.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"before")
        rotate(log, max_bytes=1)
        writer.write(b"after")
    assert log.read_bytes() == b"after"
