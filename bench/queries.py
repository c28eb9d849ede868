"""A query to a bot that runs, by way of the host, beside the bot's own server asked directly.

Both with the same load: wrk where it is installed, else a generator of our own, which costs more.
"""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
import zipfile
from dataclasses import dataclass

from bench.harness import Figure, Report, cpu_seconds, percentile
from bench.site import BOT, Site, document, until
from the0.core.launcher import QUERY_PORT
from the0.models import ContainerState
from the0.testing.servers import free_port

SECONDS = 4
CONNECTIONS = (1, 10, 50)
BOT_ID = "asked"
DIRECTLY = "asked directly"

SERVER = """
import asyncio, os

BODY = b'{"status":"ok","data":{"price":101.25,"positions":[1,2,3]}}'
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(BODY), BODY)

class Answering(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(ANSWER)

async def main():
    loop = asyncio.get_running_loop()
    port = int(os.environ["THE0_QUERY_PORT"])
    async with await loop.create_server(Answering, "0.0.0.0", port) as server:
        await server.serve_forever()

asyncio.run(main())
"""
SCRIPT = """
wrk.method = "POST"
wrk.body = '%s'
function done(summary, latency, requests)
  local failed = summary.errors.status + summary.errors.read + summary.errors.timeout
  io.write(string.format("found %%f %%f %%f %%d\\n", latency:percentile(50), latency:percentile(99),
    summary.requests / summary.duration * 1e6, failed))
end
"""


@dataclass(frozen=True)
class Target:
    host: str
    port: int
    path: str
    body: str


@dataclass(frozen=True)
class Load:
    """What came of one load: milliseconds, and requests a second."""

    p50: float
    p99: float
    rate: float


def run(site: Site, report: Report) -> None:
    tool = "wrk" if shutil.which("wrk") else "a generator in Python"
    report.begin("queries", f"a query to a bot that runs, by way of the host; {tool}")
    port = free_port()
    site.environ["THE0_API__PORT"] = str(port)
    _deploy(site)
    with site.host("runner"), site.host("query") as pid:
        asked = {"bot_id": BOT_ID, "query_path": "/x"}
        proxied = Target("127.0.0.1", port, "/query", json.dumps(asked))
        direct = _when_running(site, proxied)
        for connections in CONNECTIONS:
            _report(report, connections, _load(proxied, connections), _load(direct, connections))
        before, began = cpu_seconds(pid), time.monotonic()
        rate = _load(proxied, CONNECTIONS[-1]).rate
        used = (cpu_seconds(pid) - before) / (time.monotonic() - began)
        report.add(Figure(f"CPU of a query at {rate:,.0f}/s", "us", [1e6 * used / rate]))
    site.clear()


def _report(report: Report, connections: int, ours: Load, direct: Load) -> None:
    of = f"{connections} connection{'s' * (connections > 1)}"
    report.add(Figure(f"p50 at {of}", "ms", [ours.p50], [direct.p50], DIRECTLY))
    report.add(Figure(f"p99 at {of}", "ms", [ours.p99], [direct.p99], DIRECTLY))
    report.add(Figure(f"rate at {of}", "/s", [ours.rate], [direct.rate], DIRECTLY, faster=True))


def _deploy(site: Site) -> None:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("main.py", BOT)
        archive.writestr("query.py", SERVER)
    size = body.tell()
    body.seek(0)
    site.storage.put("custom-bots", "bench/asked/1.0.0", body, size)
    bot = document(BOT_ID)
    bot["custom"]["filePath"] = "bench/asked/1.0.0"
    bot["custom"]["config"]["entrypoints"]["query"] = "query.py"
    site.bots.insert_one(bot)


def _when_running(site: Site, proxied: Target) -> Target:
    """Where the bot itself is asked, once it answers there and by way of the host."""
    ref = until(lambda: _container(site), "the bot runs")
    host, port = site.executor.address(ref, QUERY_PORT)
    direct = Target(host, port, "/x", "")
    until(lambda: _answers(direct), "the bot answers", 0.2)
    time.sleep(2)
    until(lambda: _answers(proxied), "the host answers", 0.2)
    return direct


def _container(site: Site) -> str | None:
    running = (one for one in site.executor.list() if one.state is ContainerState.RUNNING)
    return next((one.ref for one in running if one.bot_id == BOT_ID), None)


def _answers(target: Target) -> bool:
    url = f"http://{target.host}:{target.port}{target.path}"
    try:
        with urllib.request.urlopen(url, target.body.encode(), timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


# --- load ---------------------------------------------------------------------------------------


def _load(target: Target, connections: int) -> Load:
    if shutil.which("wrk"):
        return _wrk(target, connections)
    return asyncio.run(_ours(target, connections))


def _wrk(target: Target, connections: int) -> Load:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % target.body)
        script.flush()
        url = f"http://{target.host}:{target.port}{target.path}"
        command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", script.name, url]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    line = next(line for line in said.splitlines() if line.startswith("found "))
    p50, p99, rate, failed = map(float, line.split()[1:])
    if failed:
        raise RuntimeError(f"{failed:.0f} requests failed: {said}")
    return Load(p50 / 1e3, p99 / 1e3, rate)


async def _ours(target: Target, connections: int) -> Load:
    request = (
        f"POST {target.path} HTTP/1.1\r\nHost: b\r\nContent-Length: {len(target.body)}\r\n\r\n"
        f"{target.body}"
    ).encode()
    end = time.monotonic() + SECONDS
    took: list[float] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection(target.host, target.port)
        while (begun := time.monotonic()) < end:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r")[0]))
            took.append(time.monotonic() - begun)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return Load(1e3 * percentile(took, 50), 1e3 * percentile(took, 99), len(took) / SECONDS)
