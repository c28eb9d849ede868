"""The gateway beside its physical limits: `python -m bench.gateway`.

Prints log posts and state uploads a second, what they cost in CPU of the gateway's process, and
the ratio to the same bytes written to a file and synced, or put into the store without a gateway.
Real nanio, real Unix socket, a new connection for each request as agents make them.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.support.gateway import Client, Site, make_site
from the0.testing.servers import s3_server

SECONDS = 4.0
BOTS = 20
LINES = 10
LINE = b"2026-01-31 12:00:00 INFO  price 101.25 position 3 pnl 12.50 " + b"x" * 40
SMALL = 100 * 1024
LARGE = 64 << 20
PIECE = 1 << 20
SETTINGS = ("THE0_LOGS__RATE_KB=10000000", "THE0_MINIO__TIMEOUT_SEC=60")
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="g") as folder:
        root = Path(folder)
        with s3_server(root / "s3") as server:
            keys = (server.access_key, server.secret_key)
            site = make_site(root / "st", server.endpoint, keys, THE0_MINIO__TIMEOUT_SEC="60")
            with gateway_process(site, server.endpoint, keys) as pid:
                logs(site, pid, root)
                small_states(site, pid)
                large_state(site, pid)
            site.storage.close()


@contextmanager
def gateway_process(site: Site, endpoint: str, keys: tuple[str, str]) -> Iterator[int]:
    command = [sys.executable, "-m", "tests.support.gateway_process"]
    process = subprocess.Popen(
        [*command, str(site.settings.state_dir.root), endpoint, *keys, *SETTINGS]
    )
    try:
        probe = site.launch()
        while not site.settings.state_dir.gateway_socket.exists():
            time.sleep(0.05)
        while probe.ask("GET", "/v1/launch").status != 200:
            time.sleep(0.05)
        yield process.pid
    finally:
        process.kill()
        process.wait()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Meter:
    """Time and the gateway's CPU since it was made."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._began, self._cpu = time.monotonic(), cpu_seconds(pid)

    def read(self) -> tuple[float, float]:
        return time.monotonic() - self._began, cpu_seconds(self._pid) - self._cpu


# --- load ---------------------------------------------------------------------------------------


async def ask(client: Client, head: str, body: bytes, headers: str = "") -> None:
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


def log_body(client: Client, first: int) -> bytes:
    line = f'"{base64.b64encode(LINE).decode()}"'
    at = time.time_ns()
    records = ",".join(f'[{first + n},{at},"stdout",{line},false]' for n in range(LINES))
    return f'{{"epoch":"{client.epoch}","records":[{records}]}}'.encode()


async def load(
    clients: list[Client], per_second: float | None, one: Callable[[Client, int], Awaitable[None]]
) -> int:
    """Each client in turn for SECONDS, at a given rate or as fast as it goes; the count."""
    end = time.monotonic() + SECONDS
    done = 0

    async def run(client: Client) -> None:
        nonlocal done
        number = 0
        while (now := time.monotonic()) < end:
            await one(client, number)
            number, done = number + 1, done + 1
            if per_second:
                pause = len(clients) / per_second - (time.monotonic() - now)
                await asyncio.sleep(max(0.0, pause))

    await asyncio.gather(*(run(client) for client in clients))
    return done


# --- logs ---------------------------------------------------------------------------------------


def logs(site: Site, pid: int, root: Path) -> None:
    clients = [site.launch(f"logs-{n}") for n in range(BOTS)]
    following = dict.fromkeys((client.launch for client in clients), 0)

    async def post(client: Client, _: int) -> None:
        first = following[client.launch]
        following[client.launch] += LINES
        await ask(client, "POST /v1/logs", log_body(client, first))

    print(f"log posts of {LINES} lines of {len(LINE)} bytes, {BOTS} bots")
    meter = Meter(pid)
    count = asyncio.run(load(clients, 200.0, post))
    took, used = meter.read()
    print(f"  at 200 a second: {count / took:.0f} posts/s, {100 * used / took:.0f} % of a core")
    meter = Meter(pid)
    count = asyncio.run(load(clients, None, post))
    took, used = meter.read()
    limit = plain_appends(root / "plain.log")
    print(
        f"  as fast as it goes: {count / took:.0f} posts/s, {1e6 * used / count:.0f} us CPU each; "
        f"a plain append with fsync {limit:.0f}/s, ratio {limit / (count / took):.2f}"
    )


def plain_appends(path: Path) -> float:
    data = (LINE + b"\n") * LINES
    count, end = 0, time.monotonic() + 1.0
    with path.open("ab", buffering=0) as file:
        while time.monotonic() < end:
            file.write(data)
            os.fsync(file.fileno())
            count += 1
    return count / 1.0


# --- state --------------------------------------------------------------------------------------


async def put_state(client: Client, body: bytes, generation: str, base: str) -> None:
    headers = (
        f"X-The0-Generation: {generation}\r\nX-The0-Base: {base}\r\n"
        f"X-The0-Tree: {'0' * 64}\r\nX-The0-Sha256: {hashlib.sha256(body).hexdigest()}\r\n"
    )
    await ask(client, "PUT /v1/state", body, headers)


def small_states(site: Site, pid: int) -> None:
    clients = [site.launch(f"state-{n}") for n in range(BOTS)]
    generations = dict.fromkeys((client.launch for client in clients), "")
    body = secrets.token_bytes(SMALL)

    async def put(client: Client, _: int) -> None:
        generation = secrets.token_hex(16)
        await put_state(client, body, generation, generations[client.launch])
        generations[client.launch] = generation

    print(f"state uploads of {SMALL >> 10} KiB, {BOTS} bots")
    meter = Meter(pid)
    count = asyncio.run(load(clients, 50.0, put))
    took, used = meter.read()
    print(f"  at 50 a second: {count / took:.0f} uploads/s, {100 * used / took:.0f} % of a core")
    meter = Meter(pid)
    count = asyncio.run(load(clients, None, put))
    took, used = meter.read()
    limit = direct_puts(site, body)
    print(
        f"  as fast as it goes: {count / took:.0f} uploads/s, {1e3 * used / count:.1f} ms CPU each;"
        f" put directly {limit:.0f}/s, ratio {limit / (count / took):.2f}"
    )


def direct_puts(site: Site, body: bytes) -> float:
    end = time.monotonic() + SECONDS

    def run(number: int) -> int:
        count = 0
        while time.monotonic() < end:
            site.storage.put("bot-state", f"direct-{number}", io.BytesIO(body), len(body))
            count += 1
        return count

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(run, range(8))) / SECONDS


def large_state(site: Site, pid: int) -> None:
    client, body = site.launch("large"), secrets.token_bytes(LARGE)
    print(f"one state of {LARGE >> 20} MiB")
    began = time.monotonic()
    site.storage.put("bot-state", "direct", io.BytesIO(body), len(body))
    direct = time.monotonic() - began
    meter = Meter(pid)
    asyncio.run(put_state(client, body, "a" * 32, ""))
    took, used = meter.read()
    print(
        f"  up: {(LARGE >> 20) / took:.0f} MiB/s, {used:.2f} s CPU; "
        f"put directly {(LARGE >> 20) / direct:.0f} MiB/s, ratio {took / direct:.2f}"
    )
    meter = Meter(pid)
    size = len(client.ask("GET", "/v1/state").body)
    took, used = meter.read()
    print(f"  down: {(size >> 20) / took:.0f} MiB/s, {used:.2f} s CPU")
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]
    print(f"  peak memory of the gateway: {int(peak) >> 10} MiB")


if __name__ == "__main__":
    main()
