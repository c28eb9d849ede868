"""Logs through the gateway into the spool, object storage and live readers."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.gateway import PATIENCE_SEC, Client, Site, threaded, until
from the0.gateway.tail import follow, position, read_tail
from the0.storage.logs import LogStore
from the0.testing.faults import FaultProxy
from the0.testing.servers import S3Server
from the0.testing.storage import get

LOGS = "bot-logs"
CHECKOUT = Path(__file__).parents[3]

MakeSite = Callable[..., Site]
ENDED = {"phase": "ended", "conditions": []}


def day_object(site: Site, bot_id: str) -> list[dict[str, str]]:
    """The lines of all days that the store has of the bot."""
    store = LogStore(site.storage, LOGS)
    text = b"".join(
        get(site.storage, LOGS, f"logs/{bot_id}/{day}.log") for day in store.days(bot_id)
    )
    return [json.loads(line) for line in text.splitlines()]


def messages(site: Site, bot_id: str) -> list[str]:
    return [line["message"] for line in day_object(site, bot_id)]


async def test_the_end_of_a_run_brings_its_log_into_the_store(site: Site) -> None:
    async with site.gateway():
        bot = site.launch("logs/1")
        at = int(datetime.now(UTC).timestamp()) * 10**9 + 123_456_789
        answer = await threaded(bot.post_logs, 0, [b"hello", b'{"_metric":"x","v":1}'], at)
        assert answer.json == {"acked": 1}
        await threaded(bot.post, "/v1/status", ENDED)
        await until(lambda: len(day_object(site, "logs/1")) == 2)
    first, second = day_object(site, "logs/1")
    stamp = datetime.fromisoformat(first["timestamp"])
    assert stamp.microsecond == 123456
    assert first["message"] == "hello"
    assert second == {"timestamp": first["timestamp"], "_metric": "x", "v": 1}


async def test_every_interval_brings_the_log_into_the_store(new_site: MakeSite) -> None:
    site = new_site(THE0_LOGS__UPLOAD_INTERVAL_SEC="1")
    async with site.gateway():
        bot = site.launch("interval")
        await threaded(bot.post_logs, 0, [b"one"])
        await until(lambda: messages(site, "interval") == ["one"])
        await threaded(bot.post_logs, 1, [b"two"])
        await until(lambda: messages(site, "interval") == ["one", "two"])


async def test_lines_are_gathered_before_they_cost_the_store_anything(site: Site) -> None:
    async with site.gateway():
        bot = site.launch("many")
        for number in range(100):
            await threaded(bot.post_logs, number, [b"line %d" % number])
        assert messages(site, "many") == [], "nothing before an interval is over"
        await threaded(bot.post, "/v1/status", ENDED)
        await until(lambda: messages(site, "many") == [f"line {number}" for number in range(100)])


async def test_the_end_of_the_gateway_stores_what_it_has(site: Site) -> None:
    async with site.gateway():
        await threaded(site.launch("last").post_logs, 0, [b"last words"])
    assert messages(site, "last") == ["last words"]


async def test_a_retry_is_acknowledged_but_not_doubled(site: Site) -> None:
    async with site.gateway():
        bot = site.launch("retry")
        for _ in range(3):
            answer = await threaded(bot.post_logs, 7, [b"a", b"b"])
            assert answer.json == {"acked": 8}
        assert (await threaded(bot.post_logs, 8, [b"b", b"c"])).json == {"acked": 9}
    assert messages(site, "retry") == ["a", "b", "c"]
    assert b"".join(data for _, data in site.published.all) == b"a\nb\nc\n"


async def test_a_store_that_is_down_holds_no_log_back(site: Site, proxy: FaultProxy) -> None:
    async with site.gateway():
        bot = site.launch("patient")
        proxy.hang()
        assert (await threaded(bot.post_logs, 0, [b"kept"])).status == 200
        await threaded(bot.post, "/v1/status", ENDED)
        assert read_tail(site.settings.state_dir.spool, "patient", 9)
        await asyncio.sleep(1.5)
        proxy.heal()
        await until(lambda: messages(site, "patient") == ["kept"])


async def test_a_lost_spool_does_not_shorten_the_stored_day(site: Site) -> None:
    async with site.gateway():
        await threaded(site.launch("moved").post_logs, 0, [b"before"])
    shutil.rmtree(site.settings.state_dir.spool)
    async with site.gateway():
        await threaded(site.launch("moved").post_logs, 0, [b"after"])
    assert messages(site, "moved") == ["before", "after"]
    async with site.gateway():
        await threaded(site.launch("moved").post_logs, 0, [b"later"])
    assert messages(site, "moved") == ["before", "after", "later"]
    tail = read_tail(site.settings.state_dir.spool, "moved", 9)
    assert [json.loads(line)["message"] for line in tail] == ["before", "after", "later"]


async def test_a_full_day_says_what_it_lost(new_site: MakeSite) -> None:
    site = new_site(THE0_LOGS__DAY_MAX_MB="1", THE0_LOGS__RATE_KB="100000")
    async with site.gateway():
        bot = site.launch("chatty")
        for start in range(0, 40, 10):
            answer = await threaded(bot.post_logs, start, [b"x" * 50_000] * 10)
            assert answer.json == {"acked": start + 9}
    lines = messages(site, "chatty")
    kept = len(lines) - 1
    assert kept == (1 << 20) // 50_060
    assert f"{40 - kept} lines" in lines[-1]
    assert "logs.day_max_mb" in lines[-1]


async def test_who_floods_is_told_to_wait(new_site: MakeSite) -> None:
    site = new_site(THE0_LOGS__RATE_KB="1")
    async with site.gateway():
        bot, other = site.launch("flood"), site.launch("quiet")
        numbers = itertools.count()
        answers = [await threaded(bot.post_logs, next(numbers), [b"x" * 5000]) for _ in range(4)]
        assert [one.status for one in answers] == [200, 200, 429, 429]
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert (await threaded(other.post_logs, 0, [b"x"])).status == 200


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"epoch":"x","records":[]}', b"{" * 100_000, b"\xff", b'{"a":NaN}']
)
async def test_what_is_no_batch_is_refused(site: Site, body: bytes) -> None:
    async with site.gateway():
        answer = await threaded(site.launch().ask, "POST", "/v1/logs", body)
    assert (answer.status, answer.code) == (400, "invalid")


async def test_too_large_a_batch_is_refused(site: Site) -> None:
    async with site.gateway():
        answer = await threaded(site.launch().ask, "POST", "/v1/logs", b"x" * (1 << 20) + b"x")
    assert (answer.status, answer.code) == (413, "too_large")


async def test_tail_and_follow_see_lines_at_once(site: Site) -> None:
    spool = site.settings.state_dir.spool
    async with site.gateway():
        bot = site.launch("live")
        await threaded(bot.post_logs, 0, [b"one", b"two"])
        start = position(spool, "live")
        lines = follow(spool, "live", start)
        await threaded(bot.post_logs, 2, [b"three"])
        async with asyncio.timeout(PATIENCE_SEC):
            assert json.loads(await anext(lines))["message"] == "three"
        await lines.aclose()
        tail = read_tail(spool, "live", 1, until=start)
        assert [json.loads(line)["message"] for line in tail] == ["two"]


async def test_older_lines_come_from_the_store(site: Site) -> None:
    store = LogStore(site.storage, LOGS)
    for day, text in (("20260101", b"1\n2\n"), ("20260102", b"3\n"), ("x", b"not a day\n")):
        with (site.settings.state_dir.root / "text").open("w+b") as file:
            file.write(text)
            file.seek(0)
            store.put("old", day, file, len(text))
    spool = site.settings.state_dir.spool
    assert read_tail(spool, "old", 2, store) == ["2", "3"]
    assert read_tail(spool, "old", 9, store) == ["1", "2", "3"]
    assert read_tail(spool, "older", 9, store) == []


# --- killed processes ---------------------------------------------------------------------------


class Gateways:
    """Two gateways of one installation, each a process; one serves, the other stands by."""

    def __init__(self, root: Path, endpoint: str, server: S3Server) -> None:
        self._command = [
            *(sys.executable, "-m", "tests.support.gateway_process", str(root), endpoint),
            *(server.access_key, server.secret_key),
        ]
        self.processes = [self._start(), self._start()]

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, cwd=CHECKOUT)

    def kill_the_serving_one(self, lock: Path) -> bool:
        """kill -9 it and start another; False while none holds the lock."""
        victim = next((one for one in self.processes if one.pid == lock_holder(lock)), None)
        if victim is None:
            return False
        self._kill(victim)
        self.processes.remove(victim)
        self.processes.append(self._start())
        return True

    def close(self) -> None:
        for one in self.processes:
            self._kill(one)

    @staticmethod
    def _kill(process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()


@pytest.fixture
def gateways(site: Site, proxy: FaultProxy, server: S3Server) -> Iterator[Gateways]:
    found = Gateways(site.settings.state_dir.root, proxy.endpoint, server)
    yield found
    found.close()


def post_until_acked(bot: Client, first: int, lines: list[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SEC
    while True:
        try:
            if bot.post_logs(first, lines).status == 200:
                return
        except OSError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.001)


async def test_kills_of_the_gateway_lose_and_double_no_line(site: Site, gateways: Gateways) -> None:
    """An agent posts on and on while each gateway that serves is killed after a moment."""
    bot, count, kills = site.launch("survivor"), 0, 6
    lock = site.settings.state_dir.gateway_lock
    await until(site.settings.state_dir.gateway_socket.exists)
    batch = [b"x" * 5000] * 20

    async def kill_all() -> None:
        for _ in range(kills):
            await asyncio.sleep(0.3)
            await until(lambda: gateways.kill_the_serving_one(lock))

    killer = asyncio.create_task(kill_all())
    while not killer.done():
        lines = [b"%d " % (count + index) + line for index, line in enumerate(batch)]
        await threaded(post_until_acked, bot, count, lines)
        count += len(batch)
    await killer
    await threaded(bot.post, "/v1/status", ENDED)
    await until(lambda: len(messages(site, "survivor")) >= count)
    numbers = [int(line.split(" ")[0]) for line in messages(site, "survivor")]
    assert numbers == list(range(count))


def lock_holder(lock: Path) -> int | None:
    """The process that holds the lock, as the kernel sees it."""
    inode = lock.stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if "->" not in fields and fields[5].endswith(f":{inode}"):
            return int(fields[4])
    return None
