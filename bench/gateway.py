"""The gateway beside its physical limits: log posts, state uploads and bytes a second, their CPU.

A new connection for each request, as agents make them. The limits are the same bytes written to a
file and synced, and put into the store without a gateway.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.harness import Figure, Report, cpu_seconds, peak_mib
from bench.site import Site
from tests.support.gateway import Client
from the0.launches import Launch, LaunchStore

SECONDS = 4.0
BOTS = 20
LINES = 10
LINE = b"2026-01-31 12:00:00 INFO  price 101.25 position 3 pnl 12.50 " + b"x" * 40
SMALL = 100 << 10
LARGE = 64 << 20
PIECE = 1 << 20
PUTTERS = 8

Work = Callable[[Client], Awaitable[None]]


def run(site: Site, report: Report) -> None:
    report.begin("gateway", f"{BOTS} bots; posts of {LINES} lines, states of {SMALL >> 10} KiB")
    with site.host("gateway") as pid:
        _logs(site, report, pid)
        _small_states(site, report, pid)
        _large_state(site, report, pid)
        report.add(Figure("peak memory of its host", "MiB", [peak_mib(pid)]))
    site.clear()


class Meter:
    """Time and a process's CPU, in seconds, since it was made."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._began, self._cpu = time.monotonic(), cpu_seconds(pid)

    def read(self) -> tuple[float, float]:
        return time.monotonic() - self._began, cpu_seconds(self._pid) - self._cpu


# --- load ---------------------------------------------------------------------------------------


def _client(site: Site, bot_id: str) -> Client:
    launch, token = Launch.new(
        installation="bench",
        bot_id=bot_id,
        kind="realtime",
        code_key="bench/bot/1.0.0",
        document={"config": "{}"},
    )
    LaunchStore(site.settings.state_dir.launches).write(launch)
    return Client(site.settings.state_dir.gateway_socket, launch.launch, token)


async def _ask(client: Client, head: str, body: bytes, headers: str = "") -> None:
    """One request on one connection, as lean as the load of many agents has to be."""
    reader, writer = await asyncio.open_unix_connection(client.path)
    writer.write(
        f"{head} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n{headers}"
        f"Authorization: Bearer {client.launch}.{client.token}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
    )
    view = memoryview(body)
    while view:
        writer.write(view[:PIECE])
        await writer.drain()
        view = view[PIECE:]
    answer = await reader.read()
    writer.close()
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(answer[:300].decode())


async def _load(clients: Sequence[Client], work: Work, per_second: float | None = None) -> int:
    """All clients side by side for SECONDS, at a given rate or as fast as it goes; the count."""
    end = time.monotonic() + SECONDS

    async def one(client: Client) -> int:
        done = 0
        while (now := time.monotonic()) < end:
            await work(client)
            done += 1
            if per_second:
                pause = len(clients) / per_second - (time.monotonic() - now)
                await asyncio.sleep(max(0.0, pause))
        return done

    return sum(await asyncio.gather(*(one(client) for client in clients)))


# --- logs ---------------------------------------------------------------------------------------


def _logs(site: Site, report: Report, pid: int) -> None:
    clients = [_client(site, f"logs-{number}") for number in range(BOTS)]
    following = dict.fromkeys((client.launch for client in clients), 0)

    async def post(client: Client) -> None:
        first = following[client.launch]
        following[client.launch] += LINES
        await _ask(client, "POST /v1/logs", _log_body(client, first))

    meter = Meter(pid)
    count = asyncio.run(_load(clients, post, 200))
    took, used = meter.read()
    name = f"CPU of a core at {count / took:.0f} log posts/s"
    report.add(Figure(name, "%", [100 * used / took]))
    meter = Meter(pid)
    count = asyncio.run(_load(clients, post))
    took, used = meter.read()
    limit = _plain_appends(site.root / "plain.log")
    what = "plain append"
    report.add(Figure("log posts", "/s", [count / took], [limit], what, faster=True))
    report.add(Figure("  CPU of each", "us", [1e6 * used / count]))


def _log_body(client: Client, first: int) -> bytes:
    line, at = f'"{base64.b64encode(LINE).decode()}"', time.time_ns()
    records = ",".join(f'[{first + n},{at},"stdout",{line},false]' for n in range(LINES))
    return f'{{"epoch":"{client.epoch}","records":[{records}]}}'.encode()


def _plain_appends(path: Path) -> float:
    """A second of posts' bytes, one after the other."""
    data = (LINE + b"\n") * LINES
    count, end = 0, time.monotonic() + 1.0
    with path.open("ab", buffering=0) as file:
        while time.monotonic() < end:
            file.write(data)
            count += 1
    return float(count)


# --- state --------------------------------------------------------------------------------------


async def _put_state(client: Client, body: bytes, generation: str, base: str) -> None:
    headers = (
        f"X-The0-Generation: {generation}\r\nX-The0-Base: {base}\r\n"
        f"X-The0-Tree: {'0' * 64}\r\nX-The0-Sha256: {hashlib.sha256(body).hexdigest()}\r\n"
    )
    await _ask(client, "PUT /v1/state", body, headers)


def _small_states(site: Site, report: Report, pid: int) -> None:
    clients = [_client(site, f"state-{number}") for number in range(BOTS)]
    generations = dict.fromkeys((client.launch for client in clients), "")
    body = secrets.token_bytes(SMALL)

    async def put(client: Client) -> None:
        generation = secrets.token_hex(16)
        await _put_state(client, body, generation, generations[client.launch])
        generations[client.launch] = generation

    meter = Meter(pid)
    count = asyncio.run(_load(clients, put, 50))
    took, used = meter.read()
    name = f"CPU of a core at {count / took:.0f} state uploads/s"
    report.add(Figure(name, "%", [100 * used / took]))
    meter = Meter(pid)
    count = asyncio.run(_load(clients, put))
    took, used = meter.read()
    limit = _direct_puts(site, body)
    what = "put directly"
    report.add(Figure("state uploads", "/s", [count / took], [limit], what, faster=True))
    report.add(Figure("  CPU of each", "ms", [1e3 * used / count]))


def _direct_puts(site: Site, body: bytes) -> float:
    end = time.monotonic() + SECONDS

    def one(number: int) -> int:
        count = 0
        while time.monotonic() < end:
            site.storage.put("bot-state", f"direct-{number}", io.BytesIO(body), len(body))
            count += 1
        return count

    with ThreadPoolExecutor(PUTTERS) as pool:
        return sum(pool.map(one, range(PUTTERS))) / SECONDS


def _large_state(site: Site, report: Report, pid: int) -> None:
    client, body = _client(site, "large"), secrets.token_bytes(LARGE)
    size = LARGE >> 20
    began = time.monotonic()
    site.storage.put("bot-state", "direct", io.BytesIO(body), len(body))
    direct = size / (time.monotonic() - began)
    meter = Meter(pid)
    asyncio.run(_put_state(client, body, "a" * 32, ""))
    took, used = meter.read()
    name = f"a state of {size} MiB, up"
    report.add(Figure(name, "MiB/s", [size / took], [direct], "put directly", faster=True))
    report.add(Figure("  CPU of it", "s", [used]))
    began = time.monotonic()
    with site.storage.open("bot-state", "direct") as reader:
        while reader.read(PIECE):
            pass
    direct = size / (time.monotonic() - began)
    meter = Meter(pid)
    if len(client.ask("GET", "/v1/state").body) != LARGE:
        raise RuntimeError("the state came back shorter")
    took, used = meter.read()
    name = f"a state of {size} MiB, down"
    report.add(Figure(name, "MiB/s", [size / took], [direct], "read directly", faster=True))
    report.add(Figure("  CPU of it", "s", [used]))
