"""Archives from strangers at the control API: one clear error each, and nothing stored."""

from __future__ import annotations

import io
import random
import stat
import struct
import warnings
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.api import ApiHost, api_host, archive
from tests.support.soak import scaled
from the0.testing.servers import S3Server, Server, mongo_server, s3_server

CODE = "/api/v1/custom-bots"
MUTATIONS = scaled(20, 500)
LIMITS = {"THE0_ARCHIVE__MAX_MB": "8", "THE0_ARCHIVE__MAX_ENTRIES": "1000"}

Add = Callable[[zipfile.ZipFile], object]


def with_more(add: Add, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A sound archive, and something more."""
    body = io.BytesIO(archive())
    with warnings.catch_warnings(), zipfile.ZipFile(body, "a", compression) as found:
        warnings.simplefilter("ignore")  # of duplicate names
        add(found)
    return body.getvalue()


def entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def flagged(bit: int) -> bytes:
    """A sound archive whose first entry has one more flag."""
    content = bytearray(archive())
    content[content.find(b"PK\x01\x02") + 8] |= bit
    return bytes(content)


def renamed(name: bytes, *, as_utf8: bool) -> bytes:
    """An entry with the bytes `name`, said to be UTF-8 or not."""
    content = with_more(lambda z: z.writestr("n" * len(name), "x")).replace(b"n" * len(name), name)
    if not as_utf8:
        return content
    changed = bytearray(content)
    for mark, offset, length in ((b"PK\x03\x04", 6, 30), (b"PK\x01\x02", 8, 46)):
        at = changed.rfind(mark, 0, changed.find(name) if mark == b"PK\x03\x04" else None)
        assert changed[at + length : at + length + len(name)] == name
        struct.pack_into("<H", changed, at + offset, 0x800)
    return bytes(changed)


def overlapping() -> bytes:
    """Many entries that share one body, each a bomb by itself."""
    plain = with_more(lambda z: [z.writestr(f"bomb{i}", bytes(1 << 20)) for i in range(2)])
    content = bytearray(plain)
    first = content.find(b"PK\x01\x02", content.find(b"PK\x01\x02"))
    places = []
    while first >= 0:
        places.append(first)
        first = content.find(b"PK\x01\x02", first + 1)
    (offset,) = struct.unpack_from("<I", content, places[-2] + 42)
    struct.pack_into("<I", content, places[-1] + 42, offset)
    return bytes(content)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "absolute": lambda: with_more(lambda z: z.writestr("/etc/cron.d/x", "x")),
    "parent": lambda: with_more(lambda z: z.writestr("../../x", "x")),
    "parent below": lambda: with_more(lambda z: z.writestr("a/../../x", "x")),
    "backslash": lambda: with_more(lambda z: z.writestr("a\\..\\..\\x", "x")),
    "link": lambda: with_more(lambda z: z.writestr(entry("l", stat.S_IFLNK | 0o777), "/etc")),
    "device": lambda: with_more(lambda z: z.writestr(entry("d", stat.S_IFBLK | 0o666), "")),
    "fifo": lambda: with_more(lambda z: z.writestr(entry("p", stat.S_IFIFO | 0o666), "")),
    "twice": lambda: with_more(lambda z: z.writestr("main.py", "other")),
    "folder and file": lambda: with_more(lambda z: z.writestr("main.py/x", "other")),
    "bomb": lambda: with_more(lambda z: z.writestr("bomb", bytes(7 << 20))),
    "too large": lambda: with_more(
        lambda z: z.writestr("large", random.Random(1).randbytes(5 << 20).hex())
    ),
    "too large a body": lambda: with_more(
        lambda z: z.writestr("large", random.Random(1).randbytes(30 << 20))
    ),
    "many entries": lambda: with_more(
        lambda z: [z.writestr(f"{i}", "") for i in range(scaled(2_000, 100_000))]
    ),
    "encrypted": lambda: flagged(0x1),
    "strongly encrypted": lambda: flagged(0x41),
    "patched": lambda: flagged(0x20),
    "lzma": lambda: with_more(lambda z: z.writestr("x", b"y" * 99), zipfile.ZIP_LZMA),
    "no UTF-8": lambda: renamed(b"\xff\xfe\xfd\xfc\xfb\xfa", as_utf8=True),
    "zero in a name": lambda: renamed(b"a\0b\0c\0", as_utf8=False),
    "overlapping": overlapping,
    "cut": lambda: archive()[:-30],
    "a tar": lambda: b"main.py".ljust(1024, b"\0"),
    "nothing": lambda: b"",
}


@pytest.fixture(scope="module")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> object:
    with mongo_server(tmp_path_factory.mktemp("mongo")) as server:
        yield server


@pytest.fixture(scope="module")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> object:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest_asyncio.fixture
async def host(tmp_path: Path, mongod: Server, object_store: S3Server) -> AsyncIterator[ApiHost]:
    async with api_host(tmp_path, mongod, object_store, LIMITS) as found:
        yield found


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_hostile_archive_is_refused_and_leaves_nothing(
    host: ApiHost, make: Callable[[], bytes]
) -> None:
    answer = await host.http.post(CODE, content=make())
    assert answer.status_code in (400, 413, 422), answer.text
    error = answer.json()["error"]
    assert set(error) <= {"code", "message", "faults"}
    assert 10 < len(error["message"]) < 500
    assert await stored(host) == []


async def test_what_chance_does_to_an_archive_is_harmless_or_refused(host: ApiHost) -> None:
    chance = random.Random(20)
    for _ in range(MUTATIONS):
        content = bytearray(archive())
        for _ in range(chance.choice([1, 4, 40])):
            content[chance.randrange(len(content))] = chance.randrange(256)
        before = await stored(host)
        answer = await host.http.post(CODE, content=bytes(content))
        assert answer.status_code in (200, 201, 400, 409, 413, 422), answer.text
        if answer.status_code not in (200, 201):
            assert await stored(host) == before
    assert (await host.http.get("/health")).status_code == 200


async def stored(host: ApiHost) -> list[str]:
    """Records, objects and temporary files of code."""
    records = (await host.http.get(CODE)).json()["custom_bots"]
    bucket = host.settings.storage.code_bucket
    host.storage.ensure_bucket(bucket)
    objects = [one.key for one in host.storage.list(bucket, "")]
    files = [path.name for path in host.settings.state_dir.root.glob("upload-*")]
    return [*(one["name"] for one in records), *objects, *files]
