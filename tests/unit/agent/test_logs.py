"""The log on the volume, and its way to the gateway: each line once, in order."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fake_gateway import LAUNCH, TOKEN, FakeGateway
from the0.agent import cursor
from the0.agent.client import Credentials, Gateway, Unavailable
from the0.agent.launch import Logs
from the0.agent.lines import Line
from the0.agent.logfile import LogFile
from the0.agent.shipping import Shipper


class Volume:
    """The folders of a log, its writer, and what was lost."""

    def __init__(self, path: Path, limits: Logs) -> None:
        self.path = path
        (path / "logs").mkdir()
        self.limits = limits
        self.var = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self.lost: list[tuple[int, str]] = []
        self.file = self.open()

    def open(self) -> LogFile:
        logs = str(self.path / "logs")
        return LogFile(logs, self.var, self.limits, lambda *loss: self.lost.append(loss))

    def write(self, *texts: str) -> None:
        self.file.append("stdout", [Line(text.encode()) for text in texts])

    def shipper(self) -> Shipper:
        return Shipper(str(self.path / "logs"), self.var, self.limits)

    def close(self) -> None:
        os.close(self.var)


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    volume = Volume(tmp_path, Logs(max_bytes=2000, files=3, batch_bytes=500))
    yield volume
    volume.close()


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeGateway]:
    fake = FakeGateway(tmp_path / "s", {})
    fake.start()
    yield fake
    fake.stop()


@pytest.fixture
def gateway(fake: FakeGateway) -> Gateway:
    return Gateway(str(fake.path), Credentials(LAUNCH, TOKEN))


def ship(shipper: Shipper, gateway: Gateway) -> None:
    while shipper.ship(gateway):
        pass


def test_lines_arrive_once_and_in_order(
    volume: Volume, fake: FakeGateway, gateway: Gateway
) -> None:
    shipper, expected = volume.shipper(), []
    for number in range(300):
        volume.write(f"line {number}")
        expected.append(f"line {number}")
        if number % 7 == 0:
            ship(shipper, gateway)
        if number % 50 == 0:
            shipper = volume.shipper()
    ship(shipper, gateway)
    assert fake.lines() == expected
    assert [number for _, number, *_ in fake.records] == list(range(1, 301))
    assert volume.lost == []


def test_a_lost_answer_doubles_nothing(volume: Volume, fake: FakeGateway, gateway: Gateway) -> None:
    volume.write("one", "two")
    fake.faults["POST /v1/logs"] = "lost answer"
    with pytest.raises(Unavailable):
        volume.shipper().ship(gateway)
    fake.faults.clear()
    volume.write("three")
    ship(volume.shipper(), gateway)
    assert fake.lines() == ["one", "two", "three"]


def test_the_next_launch_ships_the_tail_of_a_dead_one(
    volume: Volume, fake: FakeGateway, gateway: Gateway
) -> None:
    volume.write("before")
    ship(volume.shipper(), gateway)
    volume.write("never shipped")
    with (volume.path / "logs/bot.log").open("ab") as file:
        file.write(b"2026-11-24T04:08:22.123456789Z stdout F to")
    volume.file = volume.open()
    volume.write("after")
    ship(volume.shipper(), gateway)
    assert fake.lines() == ["before", "never shipped", "to", "after"]


def test_lines_lost_by_rotation_are_counted(
    volume: Volume, fake: FakeGateway, gateway: Gateway
) -> None:
    volume.write("first")
    shipper = volume.shipper()
    ship(shipper, gateway)
    for number in range(500):
        volume.write(f"line {number:04}")
    ship(shipper, gateway)
    arrived = fake.lines()[1:]
    lost = sum(count for count, _ in volume.lost)
    assert lost > 0
    assert lost + len(arrived) == 500
    assert arrived[-1] == "line 0499"
    assert sum(os.path.getsize(path) for path in (volume.path / "logs").iterdir()) <= 3 * 2000


def test_numbers_of_lost_lines_are_not_given_again(
    volume: Volume, fake: FakeGateway, gateway: Gateway
) -> None:
    volume.write("first")
    shipper = volume.shipper()
    ship(shipper, gateway)
    # The gateway knows of more than the cursor: an answer was lost before the file was.
    fake.acked = {epoch: 1000 for epoch in fake.acked}
    for number in range(500):
        volume.write(f"line {number:04}")
    ship(volume.shipper(), gateway)
    assert fake.lines()[-1] == "line 0499"


@pytest.mark.parametrize("harm", ["remove", "truncate", "folder", "link", "fifo", "cursor"])
def test_a_bot_that_meddles_harms_only_its_own_log(
    volume: Volume, fake: FakeGateway, gateway: Gateway, harm: str
) -> None:
    volume.write("one")
    ship(volume.shipper(), gateway)
    log = volume.path / "logs/bot.log"
    if harm == "truncate":
        os.truncate(log, 3)
    elif harm == "cursor":
        (volume.path / "logs.json").write_text('{"epoch": 3}')
    else:
        log.unlink()
    if harm == "link":
        log.symlink_to("/etc/passwd")
    if harm == "fifo":
        os.mkfifo(log)
    if harm == "folder":
        log.mkdir()
    volume.file.check()
    volume.write("two")
    ship(volume.shipper(), gateway)
    assert fake.lines()[-1].endswith("two")
    assert not any("root:" in line for line in fake.lines())


@pytest.mark.parametrize("harm", ["remove", "rename", "file"])
def test_a_folder_that_is_taken_away_is_made_again(
    volume: Volume, fake: FakeGateway, gateway: Gateway, harm: str
) -> None:
    volume.write("one")
    shipper = volume.shipper()
    ship(shipper, gateway)
    volume.write("two")
    logs = volume.path / "logs"
    if harm == "rename":
        logs.rename(volume.path / "elsewhere")
    else:
        shutil.rmtree(logs)
    if harm == "file":
        logs.write_text("no folder")
    volume.file.check()
    volume.write("three")
    ship(shipper, gateway)
    kept = ["two"] if harm == "rename" else []
    assert fake.lines() == ["one", *kept, "three"]


@pytest.mark.parametrize("failing", ["folder", "descriptors"])
def test_a_file_that_cannot_be_made_costs_lines_and_nothing_else(
    volume: Volume, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: object, **__: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    volume.write("x" * 1900)
    if failing == "folder":
        shutil.rmtree(volume.path / "logs")
    else:
        monkeypatch.setattr(os, "open", none_left)
        os.unlink(volume.path / "logs/bot.log")
        volume.file.check()
    volume.write("y" * 200)
    assert [count for count, why in volume.lost if "rotated" in why] == [1]
    monkeypatch.undo()
    volume.file.check()
    volume.write("z")
    assert (volume.path / "logs/bot.log").read_text().endswith("z\n")


def test_a_log_that_was_closed_to_the_agent_is_opened_again(volume: Volume) -> None:
    log = volume.path / "logs/bot.log"
    log.chmod(0)
    volume.file = volume.open()
    assert log.stat().st_mode & 0o600 == 0o600


def test_what_was_shipped_is_not_counted_as_lost(volume: Volume) -> None:
    volume.write("a", "b", "c")
    log = os.open(volume.path / "logs/bot.log", os.O_RDONLY)
    try:
        start = cursor.start_of(log)
        size = os.fstat(log).st_size
        assert cursor.count_unshipped(log, None) == 3
        assert cursor.count_unshipped(log, cursor.Cursor("e", 3, start, size)) == 0
        assert cursor.count_unshipped(log, cursor.Cursor("e", 1, start, size // 3)) == 2
        assert cursor.count_unshipped(log, cursor.Cursor("e", 9, "9999", 5)) == 0
        assert cursor.count_unshipped(log, cursor.Cursor("e", 9, "0001", 5)) == 3
    finally:
        os.close(log)
