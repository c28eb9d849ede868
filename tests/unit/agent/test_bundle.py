"""Archives from strangers."""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.agent import Agent, launch_document, packed
from the0.agent import bundle
from the0.agent.bundle import InvalidCode, unpack
from the0.agent.client import Gateway, Refused, Unavailable
from the0.agent.job import Job
from the0.agent.launch import Archive, parse


def archive(*entries: tuple[str, bytes, int]) -> io.BytesIO:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data, mode in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, data)
    return content


def test_files_folders_and_execute_bits(tmp_path: Path) -> None:
    content = archive(
        ("./main.py", b"1", 0), ("bin/run", b"2", 0o100755), ("empty/", b"", stat.S_IFDIR | 0o755)
    )
    unpack(content, str(tmp_path), Archive())
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert found == {"main.py", "bin", "bin/run", "empty"}
    assert os.access(tmp_path / "bin/run", os.X_OK)
    assert not (tmp_path / "main.py").stat().st_mode & 0o111


@pytest.mark.parametrize(
    ("content", "bounds", "named"),
    [
        (archive(("../evil", b"", 0)), Archive(), "'../evil'"),
        (archive(("/etc/evil", b"", 0)), Archive(), "'/etc/evil'"),
        (archive(("a/../../evil", b"", 0)), Archive(), "outside"),
        (archive(("link", b"/etc", stat.S_IFLNK | 0o777)), Archive(), "'link'"),
        (archive(("pipe", b"", stat.S_IFIFO | 0o777)), Archive(), "'pipe'"),
        (archive(("a", b"1", 0), ("a/b", b"2", 0)), Archive(), "could not be unpacked"),
        (archive(("a", b"", 0), ("b", b"", 0)), Archive(max_entries=1), "more than 1 entries"),
        (archive(("a", b"x" * 100, 0)), Archive(max_bytes=99), "more than it may"),
        (archive(("a", b"0" * 5_000_000, 0)), Archive(max_ratio=10), "more than it may"),
        (archive(("a", b"x", 0)), Archive(max_sec=-1), "too long"),
        (archive(("d/" * 128 + "x", b"", 0)), Archive(), "deeper than 128"),
        (archive(("d/" * 3000 + "x", b"", 0)), Archive(), "deeper than 128"),
        (io.BytesIO(b"no zip at all"), Archive(), "no zip"),
        (io.BytesIO(b""), Archive(), "no zip"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, content: io.BytesIO, bounds: Archive, named: str
) -> None:
    with pytest.raises(InvalidCode, match=named):
        unpack(content, str(tmp_path / "bot"), bounds)
    assert not (tmp_path / "evil").exists()


def test_a_huge_list_of_entries_is_refused_before_it_is_read(tmp_path: Path) -> None:
    content = bytearray(archive(("a", b"", 0)).getvalue())
    end = content.rfind(b"PK\x05\x06")
    struct.pack_into("<I", content, end + 12, 0xFFFFFFF0)
    with pytest.raises(InvalidCode, match="entries"):
        unpack(io.BytesIO(bytes(content)), str(tmp_path), Archive())


def test_numbers_of_another_record_are_not_believed(tmp_path: Path) -> None:
    content = archive(("a", b"", 0)).getvalue()
    end = content.rfind(b"PK\x05\x06")
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, 0, 1)
    with pytest.raises(InvalidCode, match="Zip64"):
        unpack(io.BytesIO(content[:end] + locator + content[end:]), str(tmp_path), Archive())


@given(st.integers(0, 300), st.binary(min_size=1, max_size=4))
def test_a_damaged_archive_breaks_nothing(position: int, damage: bytes) -> None:
    content = bytearray(archive(("a.py", b"print(1)" * 20, 0), ("b/c", b"2", 0)).getvalue())
    content[position : position + len(damage)] = damage
    target = Path(os.environ["TMPDIR"]) / "damaged"
    target.mkdir(exist_ok=True)
    try:
        unpack(io.BytesIO(bytes(content)), str(target), Archive())
    except InvalidCode:
        pass
    finally:
        shutil.rmtree(target)


def test_the_code_is_fetched_afresh(agent: Agent, job: Job) -> None:
    (agent.root / "bot/stale").write_text("of an attempt before")
    agent.gateway.code = packed({"main.py": "", "run": ""})
    bundle.fetch(job._replace(launch=job.launch._replace(executables=("run", "absent"))))
    assert sorted(os.listdir(agent.root / "bot")) == ["main.py", "run"]
    assert os.access(agent.root / "bot/run", os.X_OK)
    assert os.listdir(agent.var) == []


def test_a_torn_archive_is_asked_for_again(agent: Agent, job: Job) -> None:
    agent.gateway.code = packed({"main.py": "x"})
    agent.gateway.faults["GET /v1/code"] = "torn"
    with pytest.raises(Unavailable, match="torn"):
        bundle.fetch(job)


def test_a_missing_object_is_certain(agent: Agent, job: Job) -> None:
    agent.gateway.faults["GET /v1/code"] = "404"
    with pytest.raises(Refused) as caught:
        bundle.fetch(job)
    assert caught.value.status == 404


def test_what_the_gateway_calls_invalid_is_certain(
    agent: Agent, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Refused(422, "invalid_archive", "it has 2 GiB")

    monkeypatch.setattr(Gateway, "get", refuse)
    with pytest.raises(InvalidCode, match="2 GiB"):
        bundle.fetch(job)


def test_the_entrypoint_must_be_there(agent: Agent, job: Job) -> None:
    agent.gateway.code = packed({"other.py": ""})
    with pytest.raises(InvalidCode, match=r"'main\.py'"):
        bundle.fetch(job)


def test_a_command_may_add_to_the_entrypoints_name(agent: Agent, job: Job) -> None:
    agent.gateway.code = packed({"Bot.dll": ""})
    command = ["dotnet", f"{agent.root}/bot/Bot.dll"]
    document = launch_document(entrypoints={"bot": "Bot"}, commands={"bot": command})
    bundle.fetch(job._replace(launch=parse(document)))
