"""Hostile archives: each is refused with its reason, and the agent agrees on every one."""

import contextlib
import io
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.project.builders import FILES
from the0.agent import files
from the0.agent.bundle import InvalidCode, unpack
from the0.agent.launch import Archive
from the0.errors import InvalidArchive, InvalidInput
from the0.project import archive, read_archive
from the0.settings import ArchiveSettings

pytestmark = pytest.mark.usefixtures("schemas_here")

LIMITS = ArchiveSettings(max_entries=50, max_mb=3, max_ratio=20, max_sec=30)
BOUNDS = Archive(max_entries=50, max_bytes=3 << 20, max_ratio=20.0, max_sec=30.0)


def zipped(extra: Callable[[zipfile.ZipFile], None] | None = None) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # of duplicate names
        for name, text in FILES.items():
            archive.writestr(name, text)
        if extra:
            extra(archive)
    return buffer.getvalue()


def entry(name: str, mode: int = stat.S_IFREG | 0o644, **fields: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def lying_about_its_size() -> bytes:
    content = zipped(lambda archive: archive.writestr("liar", "x" * 1000, zipfile.ZIP_STORED))
    real, lie = struct.pack("<II", 1000, 1000), struct.pack("<II", 1000, 10)
    return content.replace(real, lie)


def encrypted() -> bytes:
    content = bytearray(zipped())
    at = content.find(b"PK\x01\x02")
    content[at + 8] |= 1
    return bytes(content)


def zip64(count: int) -> bytes:
    """An archive whose Zip64 record says that it has `count` entries, and the plain one 3."""
    content = zipped()
    at = content.rfind(b"PK\x05\x06")
    size, start = struct.unpack_from("<II", content, at + 12)
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1)
    return content[:at] + record + locator + content[at:]


HOSTILE = {
    "absolute": zipped(lambda z: z.writestr("/etc/passwd", "x")),
    "parent": zipped(lambda z: z.writestr("../x", "x")),
    "parent in the middle": zipped(lambda z: z.writestr("a/../../x", "x")),
    "link": zipped(lambda z: z.writestr(entry("link", stat.S_IFLNK | 0o777), "/etc/passwd")),
    "device": zipped(lambda z: z.writestr(entry("dev", stat.S_IFCHR | 0o666), "")),
    "twice": zipped(lambda z: z.writestr("main.py", "other")),
    "file and folder": zipped(lambda z: z.writestr("main.py/x", "other")),
    "entries": zipped(lambda z: [z.writestr(f"f{i}", "") for i in range(60)] and None),
    "bomb": zipped(lambda z: z.writestr("bomb", b"\0" * (2 << 20))),
    "size": zipped(
        lambda z: z.writestr("big", b"0123456789" * 400_000, zipfile.ZIP_STORED),
    ),
    "liar": lying_about_its_size(),
    "encrypted": encrypted(),
    "zip64": zip64(len(FILES)),
    "deep": zipped(lambda z: z.writestr("d/" * 128 + "x", "")),
    "very deep": zipped(lambda z: z.writestr("d/" * 5000 + "x", "")),
    "no zip": b"nonsense" * 100,
    "empty": b"",
    "cut": zipped()[:-30],
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_archives_are_refused_here_and_by_the_agent(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "archive.zip"
    path.write_bytes(content)
    with pytest.raises(InvalidArchive):
        read_archive(path, LIMITS)
    (tmp_path / "target").mkdir()
    with path.open("rb") as file, pytest.raises(InvalidCode):
        unpack(file, str(tmp_path / "target"), BOUNDS)


def test_both_refuse_the_same_depth() -> None:
    assert archive.DEEPEST == files.DEEPEST


def test_a_sound_archive_is_taken_here_and_by_the_agent(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    path.write_bytes(zipped(lambda z: z.mkdir("folder")))
    archived = read_archive(path, LIMITS)
    assert (archived.config.name, archived.entries) == ("my-bot", len(FILES) + 1)
    assert archived.bytes == sum(len(text) for text in FILES.values())
    (tmp_path / "target").mkdir()
    with path.open("rb") as file:
        unpack(file, str(tmp_path / "target"), BOUNDS)


def test_other_compressions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    path.write_bytes(zipped(lambda z: z.writestr("x", "y" * 100, zipfile.ZIP_LZMA)))
    with pytest.raises(InvalidArchive) as caught:
        read_archive(path, LIMITS)
    assert caught.value.faults == ("'x': is neither stored nor deflated",)


def test_a_damaged_byte_is_noticed(tmp_path: Path) -> None:
    content = bytearray(zipped(lambda z: z.writestr("x", b"payload" * 50, zipfile.ZIP_STORED)))
    content[content.find(b"payload") + 3] ^= 1
    path = tmp_path / "archive.zip"
    path.write_bytes(content)
    with pytest.raises(InvalidArchive, match="CRC"):
        read_archive(path, LIMITS)


def test_faults_of_the_project_inside_are_told(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bot-config.yaml", "name: x\n")
    with pytest.raises(InvalidInput) as caught:
        read_archive(path, LIMITS)
    assert any("entrypoints.bot" in fault for fault in caught.value.faults)


@settings(max_examples=200)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_any_changed_byte_is_harmless_or_refused(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    content = bytearray(zipped())
    content[place % len(content)] = value
    path = tmp_path_factory.getbasetemp() / "fuzzed.zip"
    path.write_bytes(content)
    with contextlib.suppress(InvalidInput):
        read_archive(path, LIMITS)
